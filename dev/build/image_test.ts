import assert from "node:assert/strict";

const SCRIPT = new URL("./image.sh", import.meta.url).pathname;

/**
 * Runs `dev/build/image.sh` with a `docker` that writes its arguments down and knows some digests.
 */
async function run(...args: string[]) {
  const folder = await Deno.makeTempDir();
  try {
    const docker = `#!/bin/sh
echo "$*" >> '${folder}/calls'
case $1 in
  push) echo "$3" ;;
  image) printf '%s\\n' other/repo@sha256:aaa here/repo@sha256:bbb ;;
esac
`;
    await Deno.writeTextFile(`${folder}/docker`, docker, { mode: 0o755 });
    const { code, stdout } = await new Deno.Command(SCRIPT, {
      args,
      env: {
        PATH: `${folder}:${Deno.env.get("PATH")}`,
        GIT_OPTIONAL_LOCKS: "0",
        GITHUB_REPOSITORY: "somebody/pseudolabel",
        GITHUB_SERVER_URL: "https://example.org",
      },
      stderr: "null",
    }).output();
    const calls = await Deno.readTextFile(`${folder}/calls`).catch(() => "");
    return { code, stdout: new TextDecoder().decode(stdout), calls: calls.trimEnd().split("\n") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const hasGit = await Deno.stat(new URL("../../.git", import.meta.url)).then(
  () => true,
  () => false,
);
Deno.test(
  "the image is built from the checkout and told its commit, day, version and home",
  { ignore: !hasGit },
  async () => {
    const { code, calls } = await run("build", "pseudolabel:x");
    assert.equal(code, 0);
    assert.match(
      calls.join("\n"),
      /^buildx build --load --platform linux\/amd64 --tag pseudolabel:x --build-arg BUILD_COMMIT=[0-9a-f]{40} --build-arg BUILD_DATE=\d{4}-\d\d-\d\d --build-arg VERSION=\d+\.\d+\.\d+ --build-arg SOURCE=https:\/\/example\.org\/somebody\/pseudolabel \.$/,
    );
  },
);

Deno.test("the image is pushed under every tag, and what is printed is its digest in that repository", async () => {
  const { code, stdout, calls } = await run("push", "pseudolabel:x", "here/repo", "v1", "latest");
  assert.equal(code, 0);
  assert.equal(stdout, "here/repo@sha256:bbb\n");
  assert.deepEqual(calls.slice(0, 4), [
    "tag pseudolabel:x here/repo:v1",
    "push --quiet here/repo:v1",
    "tag pseudolabel:x here/repo:latest",
    "push --quiet here/repo:latest",
  ]);
});

Deno.test("an image without a digest in the repository is a failure, as is an unknown verb", async () => {
  assert.equal((await run("push", "pseudolabel:x", "no/such", "v1")).code, 1);
  assert.equal((await run("destroy")).code, 2);
});
