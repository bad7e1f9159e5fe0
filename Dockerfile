# The command line in an image, with the versions and hashes of requirements/run.txt:
#   docker build -t edgecut .
#   docker run --rm -v "$PWD:/work" edgecut demo -o demo
FROM python:3.11-slim
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY profiles profiles
COPY edgecut edgecut
RUN python -m pip install --no-cache-dir --no-deps --no-build-isolation .
WORKDIR /work
ENTRYPOINT ["edgecut"]
CMD ["--help"]
