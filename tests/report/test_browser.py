"""The page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.report.batches import ATTACKS

Show = Callable[..., Chrome]


def rows(browser: Chrome) -> list[int]:
    """The numbers of the rows that can be seen."""
    shown: list[int] = browser.execute_script(
        "return [...document.querySelectorAll('.sample > li')]"
        ".filter(row => row.checkVisibility()).map(row => +row.id.slice(4))"
    )
    return shown


def search(browser: Chrome, text: str) -> list[int]:
    field = browser.find_element(By.ID, "search")
    field.send_keys(Keys.CONTROL, "a", Keys.NULL, text or Keys.DELETE)
    return rows(browser)


def opened(browser: Chrome) -> list[int]:
    found: list[int] = browser.execute_script(
        "return [...document.querySelectorAll('.sample details[open]')]"
        ".map(row => +row.parentElement.id.slice(4))"
    )
    return found


def settle(browser: Chrome) -> None:
    """Lets the browser run the handlers of everything that has happened so far."""
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done))"
    )


def choose(browser: Chrome, kind: str) -> list[int]:
    browser.find_element(By.CSS_SELECTOR, f".chips input[value='{kind}']").click()
    return rows(browser)


def status(browser: Chrome) -> str:
    return browser.find_element(By.CSS_SELECTOR, "[role=status]").text


def test_the_page_loads_nothing_and_shows_all_rows(show: Show, ordinary_page: Path) -> None:
    browser = show(ordinary_page)
    assert browser.title == "questions.jsonl · batch report"
    assert rows(browser) == list(range(40))
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.execute_script("return getComputedStyle(document.body).maxWidth") != "none"


def test_the_search_narrows_the_table(show: Show, ordinary_page: Path) -> None:
    browser = show(ordinary_page)
    assert search(browser, "NEEDLE in") == [3]
    assert status(browser) == "1 of 40 rows"
    assert browser.find_element(By.CSS_SELECTOR, "#row-3 .hit").text == "A needle in a haystack is"
    assert search(browser, "too long") == [11]
    assert search(browser, "conversation-20") == [20]
    assert search(browser, "no such words") == []
    assert "Nothing here matches" in browser.find_element(By.CLASS_NAME, "nothing").text
    assert search(browser, "") == list(range(40))
    assert status(browser) == "40 rows"


def test_outcomes_narrow_the_table_and_what_was_searched_narrows_it_further(
    show: Show, ordinary_page: Path
) -> None:
    browser = show(ordinary_page)
    assert choose(browser, "failed") == [11, 12]
    assert choose(browser, "cut-off") == [5, 6]
    assert search(browser, "goes on") == [5]
    assert choose(browser, "") == [5]


def test_a_link_to_a_row_opens_it_even_if_it_was_filtered_out(
    show: Show, ordinary_page: Path
) -> None:
    browser = show(ordinary_page)
    assert search(browser, "needle") == [3]
    browser.find_element(By.CSS_SELECTOR, "#failures ~ ul a[href='#row-11']").click()
    WebDriverWait(browser, 10).until(lambda browser: opened(browser) == [11])
    assert 11 in rows(browser)
    assert "The prompt is too long." in browser.find_element(By.CSS_SELECTOR, "#row-11 .talk").text


def test_a_link_into_the_page_opens_the_row(show: Show, ordinary_page: Path) -> None:
    assert opened(show(ordinary_page, fragment="#row-5")) == [5]


def test_everything_can_be_done_from_the_keyboard(show: Show, ordinary_page: Path) -> None:
    browser = show(ordinary_page)
    browser.switch_to.active_element.send_keys("/")
    assert browser.switch_to.active_element.get_attribute("id") == "search"
    browser.switch_to.active_element.send_keys("and o", Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
    assert rows(browser) == [5, 6]
    assert opened(browser) == [6]


def test_a_long_text_is_folded_and_can_be_unfolded(show: Show, ordinary_page: Path) -> None:
    browser = show(ordinary_page, fragment="#row-6")
    text = browser.find_element(By.CSS_SELECTOR, "#row-6 .answer .text")
    button = browser.find_element(By.CSS_SELECTOR, "#row-6 .unfold")
    folded = text.size["height"]
    button.click()
    assert text.size["height"] > folded
    assert (button.text, button.get_attribute("aria-expanded")) == ("Show less", "true")
    button.click()
    assert text.size["height"] == folded


def test_hostile_content_shows_as_text_and_never_runs(show: Show, hostile_page: Path) -> None:
    browser = show(hostile_page)
    assert len(search(browser, "pwned")) >= len(ATTACKS[:8])
    browser.execute_script("document.querySelectorAll('details').forEach(row => row.open = true)")
    settle(browser)
    text = browser.execute_script("return document.querySelector('.sample').textContent")
    for attack in ATTACKS[:8]:
        assert attack in text
    assert "invoiceU+202Egpj.exe" in text
    assert "nul U+0000 ×3 escape U+001B[31m lone U+D83D" in text
    assert "👩‍👩‍👧‍👦" in text
    assert "مرحبا بالعالم and שלום" in text
    assert browser.execute_script("return window.pwned") is None
    assert browser.execute_script("return document.scripts.length") == 1
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.title.startswith("</script><script>")


def test_the_policy_stops_a_script_that_is_not_the_pages_own(
    show: Show, ordinary_page: Path
) -> None:
    browser = show(ordinary_page)
    browser.execute_script(
        "const script = document.createElement('script');"
        "script.textContent = 'window.pwned = 1'; document.body.append(script);"
    )
    assert browser.execute_script("return window.pwned") is None
    [complaint] = browser.get_log("browser")
    assert "Content Security Policy" in complaint["message"]


def test_a_phone_shows_the_page_without_scrolling_sideways(
    show: Show, ordinary_page: Path, hostile_page: Path
) -> None:
    for batch in (ordinary_page, hostile_page):
        browser = show(batch, width=390)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.execute_script("return innerWidth") == 390


def test_dark_and_light_follow_the_system(show: Show, ordinary_page: Path) -> None:
    browser = show(ordinary_page)

    def background(scheme: str) -> str:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        script = "return getComputedStyle(document.body).backgroundColor"
        return str(browser.execute_script(script))

    assert background("dark") == "rgb(19, 21, 25)"
    assert background("light") == "rgb(250, 249, 246)"
