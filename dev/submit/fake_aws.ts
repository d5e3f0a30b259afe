/**
 * @module submit/fake_aws: an `aws` client that gives recorded answers, for tests of what calls it.
 */

import { type AwsCli, awsCli } from "./aws_cli.ts";

/** An answer that isn't JSON. */
export class Text {
  readonly text: string;

  /** Printed as it is. */
  constructor(text: string) {
    this.text = text;
  }
}

/** One answer of the client: what it prints, or what it complains of. */
export type Said = unknown | { readonly error: string };

/** A fake client in a folder of its own. */
export interface FakeAws extends AsyncDisposable {
  /** What a test may put into PATH. */
  readonly path: string;
  /** Calls it. */
  readonly aws: AwsCli;
  /** The arguments of each call. */
  calls(): Promise<string[]>;
}

/** An `aws` that gives recorded answers by its first two words, the last one again and again. */
export async function fakeAws(
  answers: Readonly<Record<string, readonly Said[]>>,
): Promise<FakeAws> {
  const folder = await Deno.makeTempDir();
  for (const [call, list] of Object.entries(answers)) {
    for (const [i, said] of list.entries()) {
      const failed = typeof said === "object" && said !== null && "error" in said;
      const file = `${folder}/${call.replace(" ", "-")}.${i + 1}.${failed ? "error" : "out"}`;
      const text = failed ? `\n${said.error}\n` : said instanceof Text ? said.text : undefined;
      await Deno.writeTextFile(file, text ?? JSON.stringify(said));
    }
  }
  const script = `#!/bin/sh
cd '${folder}' || exit 99
printf '%s\\n' "$*" >> calls
call="$1-$2"
n=1
while [ -e "$call.$n.used" ] && { [ -e "$call.$((n + 1)).out" ] || [ -e "$call.$((n + 1)).error" ]; }; do
  n=$((n + 1))
done
: > "$call.$n.used"
if [ -e "$call.$n.error" ]; then cat "$call.$n.error" >&2; exit 254; fi
[ -e "$call.$n.out" ] || { echo "nothing recorded for $call" >&2; exit 98; }
for last in "$@"; do :; done
case "$call $last" in
  's3-cp -') cat "$call.$n.out" ;;
  's3-cp '*) cat "$call.$n.out" > "$last" ;;
  *) cat "$call.$n.out" ;;
esac
`;
  await Deno.writeTextFile(`${folder}/aws`, script, { mode: 0o755 });
  const path = `${folder}:/usr/bin:/bin`;
  return {
    path,
    aws: awsCli({ PATH: path }),
    calls: async () => (await Deno.readTextFile(`${folder}/calls`)).trimEnd().split("\n"),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
