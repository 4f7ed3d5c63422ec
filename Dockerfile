# The emulator of Fireworks as an image: a server for tests and trials, without Oumi and torch.
#
#   docker build -t fireworks-emulator .
#   docker run --rm -p 8765:8765 fireworks-emulator --key test
#   export FIREWORKS_BASE_URL=http://127.0.0.1:8765 FIREWORKS_API_KEY=test FIREWORKS_ACCOUNT_ID=emulator
#
# Arguments are those of `oumi-fireworks emulator start`. The state is in the volume /state.
FROM python:3.13-slim

WORKDIR /src
COPY constraints.txt docker/emulator.txt ./
RUN pip install --no-cache-dir -c constraints.txt -r emulator.txt
COPY pyproject.toml README.md LICENSE _oumi_fireworks_startup.py _oumi_fireworks_loader.py oumi_fireworks_startup.pth ./
COPY oumi_fireworks oumi_fireworks
RUN pip install --no-cache-dir --no-deps . \
    && rm -r /src/* \
    && useradd --create-home emulator \
    && install -d -o emulator -m 0700 /state

USER emulator
WORKDIR /home/emulator
VOLUME /state
EXPOSE 8765
HEALTHCHECK --interval=5s --start-period=10s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8765), 2).close()"]
ENTRYPOINT ["oumi-fireworks", "emulator", "start", "--host", "0.0.0.0", "--port", "8765", "--state", "/state"]
