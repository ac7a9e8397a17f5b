#!/bin/sh
# Installs the toolkit for every user of an image, as root and without a network, from the wheelhouse beside this file.
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "rawr-install needs Python 3.11 or newer; here is $("$python" --version 2>&1)." >&2
    exit 1
}
"$python" -m venv /opt/rawr-install
/opt/rawr-install/bin/pip install --quiet --root-user-action=ignore --no-index --find-links "$here/wheelhouse" rawr-install
ln -sf /opt/rawr-install/bin/rawr-install /opt/rawr-install/bin/rawr /usr/local/bin/
