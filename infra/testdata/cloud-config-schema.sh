#!/usr/bin/env bash
# Writes cloud-config-schema.json: the schema that Debian 12's cloud-init checks user data with, without its texts.
# Needs apt, dpkg and python3. usage: infra/testdata/cloud-config-schema.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && apt-get -qq download cloud-init && dpkg -x cloud-init_*.deb files)
python3 - "$work"/files/usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json <<'PYTHON'
import json, sys

def strip(node):
    if isinstance(node, dict):
        return {k: strip(v) for k, v in node.items() if not (k in ("description", "label") and isinstance(v, str))}
    return [strip(v) for v in node] if isinstance(node, list) else node

with open(sys.argv[1]) as source, open("cloud-config-schema.json", "w") as out:
    json.dump(strip(json.load(source)), out, separators=(",", ":"))
    out.write("\n")
PYTHON
echo "cloud-config-schema.json is that of $(basename "$work"/cloud-init_*.deb)" >&2
