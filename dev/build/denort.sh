#!/usr/bin/env bash
# Gets Deno 2.4.2 and the base that its executables are made from, Linux x64, from npm alone, for
# machines that can't reach the host where `deno compile` gets its base. For trying the executable
# only: a release is made with the pinned Deno and that Deno's own base.
#
#   eval "$(dev/build/denort.sh)"    sets DENORT_BIN and DENO_COMPILER, which `deno task compile` reads
#
# An executable is the base with a payload behind it. One that was made by Deno 2.4.2 is on npm (the
# vlt package manager); cut off where its payload begins, it is the base again. There is none of
# 2.9.
set -euo pipefail

[[ $(uname -sm) == "Linux x86_64" ]] || { echo "denort: only for Linux on x86_64" >&2; exit 1; }
folder=${XDG_CACHE_HOME:-$HOME/.cache}/denort-2.4.2
# SHA-256 of what is cut out.
sum=2705685d7478610b98dcd43acecd457a19810146323041c8af8a88f7dd0b5e82
if ! sha256sum --check --status <<< "$sum  $folder/denort" 2> /dev/null || [[ ! -x $folder/deno ]]; then
  mkdir -p "$folder"
  cd "$folder"
  npm install --no-save --ignore-scripts --silent --prefix packages \
    deno@2.4.2 @vltpkg/cli-linux-x64@0.0.0-18 >&2
  cp packages/node_modules/@deno/linux-x64-glibc/deno deno
  # The payload, which starts with this word, follows the last section header of the ELF file.
  node -e '
    const [source, target] = process.argv.slice(1);
    const { readFileSync, writeFileSync } = require("node:fs");
    const bytes = readFileSync(source);
    const headers = Number(bytes.readBigUInt64LE(40)) + bytes.readUInt16LE(58) * bytes.readUInt16LE(60);
    const end = bytes.indexOf("d3n0l4nd", headers);
    if (end < 0) throw new Error("no payload");
    writeFileSync(target, bytes.subarray(0, end));
  ' packages/node_modules/@vltpkg/cli-linux-x64/vlt denort
  chmod +x deno denort
  rm -rf packages
  sha256sum --check --quiet <<< "$sum  denort" >&2
fi
printf 'export DENORT_BIN=%q DENO_COMPILER=%q\n' "$folder/denort" "$folder/deno"
