#!/usr/bin/env bash
# The image's way in workflows.
#
#   dev/build/image.sh build NAME           builds it from this checkout under a local name
#   dev/build/image.sh push NAME REPO TAG…  pushes it under these tags; prints REPO@sha256:…
#
# It is built for x86_64, which Fargate runs anywhere. Log in to the registry before pushing.
set -euo pipefail
cd "$(dirname "$0")/../.."

case ${1-} in
  build)
    version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' deno.json)
    source=${GITHUB_REPOSITORY:+${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY}
    docker buildx build --load --platform linux/amd64 --tag "${2:?a name}" \
      --build-arg "BUILD_COMMIT=$(git rev-parse HEAD)" \
      --build-arg "BUILD_DATE=$(TZ=UTC git log -1 --date=format-local:%Y-%m-%d --format=%cd)" \
      --build-arg "VERSION=$version" --build-arg "SOURCE=$source" .
    ;;
  push)
    name=${2:?a name} repository=${3:?a repository}
    shift 3
    for tag; do
      docker tag "$name" "$repository:$tag"
      docker push --quiet "$repository:$tag" >&2
    done
    # An image may have been pushed to several repositories: the digest is that of this one.
    docker image inspect --format '{{join .RepoDigests "\n"}}' "$name" |
      grep -F -m 1 "$repository@sha256:"
    ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
