#!/usr/bin/env bash
# Makes a repository of its own of what Argo CD deploys: apps/api, apps/worker and envs/ of this checkout, on the branch main.
#
#   tools/app-repository.sh DIRECTORY     DIRECTORY/platform.git is the repository, DIRECTORY/clone a clone of it
set -euo pipefail
directory=${1:?is missing: a directory that exists}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

mkdir -p "$directory/clone/apps"
cp -R "$root/apps/api" "$root/apps/worker" "$directory/clone/apps/"
cp -R "$root/envs" "$directory/clone/"
git init --quiet --bare --initial-branch main "$directory/platform.git"
cd "$directory/clone"
git init --quiet --initial-branch main
git config user.name platform
git config user.email platform@example.com
git remote add origin "$(cd ../platform.git && pwd)"
git add --all
git commit --quiet --message 'envs: begin'
git push --quiet origin main
