"""How an option is declared, checked and described; what options may be; the options of tables."""
