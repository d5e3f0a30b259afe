import assert from "node:assert/strict";
import { fill, readAll, rows } from "../../dev/doubles/stage.ts";
import { startUpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { programCommand, TEST_API_KEY } from "../../dev/testing/program.ts";
import { systemClock } from "../base/clock.ts";
import { openFolder } from "./folder.ts";

/** Who may not mount a disk can't try this. */
const MAY_MOUNT = Deno.build.os === "linux" && await mayMount();

async function mayMount(): Promise<boolean> {
  const trial = "mount -t tmpfs none /mnt";
  const args = ["--mount", "sh", "-c", trial];
  try {
    return (await new Deno.Command("unshare", { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

/**
 * Labels 40 pages in a folder on a small disk of its own, which is made useless by `spoil` once ten
 * answers are stored, and good again by `mend` once the program has said so.
 */
async function label(
  spoil: string,
  mend: string,
  more: string,
): Promise<{ code: number; stderr: string; answers: number; billed: number }> {
  const folder = await Deno.makeTempDir();
  await using api = await startUpstageServer({
    apiKeys: [TEST_API_KEY],
    async answer(document) {
      await systemClock.sleep(50);
      return readAll(document);
    },
  });
  try {
    const store = openFolder(folder);
    await fill(store, rows(40).map((row) => ({ ...row, image_path: `images/${row.index}.png` })));
    const args =
      `--store ${folder}/disk --dataset-name demo --request-delay-ms 0 --concurrency 4 ` +
      `--lease-seconds 60 ${more}`;
    const { command, args: given } = programCommand(args.trim().split(" "));
    const quoted = [command, ...given].map((word) => `'${word}'`).join(" ");
    const script = `
      set -e; cd ${folder}; mkdir disk; mount -t tmpfs -o size=3m none disk; cp -r data images disk
      ${quoted} >out 2>err & program=$!
      answers() { find disk/responses -name '*.gz' 2>/dev/null | wc -l; }
      until [ "$(answers)" -ge 10 ]; do kill -0 $program; sleep 0.02; done
      ${spoil}
      until grep -q "nothing can be stored" err; do kill -0 $program; sleep 0.05; done
      ${mend}
      code=0; wait $program || code=$?
      echo $code $(answers)`;
    const ran = await new Deno.Command("unshare", {
      args: ["--mount", "timeout", "60", "sh", "-c", script],
      env: { UPSTAGE_BASE_URL: api.url, UPSTAGE_API_KEY: TEST_API_KEY, NO_COLOR: "1" },
    }).output();
    const stderr = await Deno.readTextFile(`${folder}/err`);
    const [code, answers] = new TextDecoder().decode(ran.stdout).trim().split(" ").map(Number);
    assert.ok(ran.success, new TextDecoder().decode(ran.stderr) + stderr);
    return { code, stderr, answers, billed: api.billedPages };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const FILL = "dd if=/dev/zero of=disk/filler bs=1k count=9999 2>/dev/null || true";
/** Not while a file is being written. */
const READ_ONLY = "until mount -o remount,ro disk 2>/dev/null; do sleep 0.01; done";

Deno.test({
  name: "a disk that gets full or read-only under a run is waited for, and nothing is paid twice",
  ignore: !MAY_MOUNT,
  async fn() {
    const [full, readOnly, forGood] = await Promise.all([
      label(FILL, "rm disk/filler", ""),
      label(READ_ONLY, "mount -o remount,rw disk", ""),
      label(FILL, "", "--max-outage-minutes 0.05"),
    ]);
    for (const { code, stderr, answers, billed } of [full, readOnly]) {
      assert.equal(code, 0, stderr);
      assert.deepEqual([answers, billed], [40, 40]);
      assert.match(stderr, /nothing can be stored \(Cannot write file:.*(full|read-only).*10 min/);
      assert.match(stderr, /the store can be written again after \d+ s: going on/);
    }
    const { code, stderr, answers, billed } = forGood;
    assert.equal(code, 75, stderr);
    const last = stderr.trimEnd().split("\n").at(-1)!;
    assert.match(
      last,
      /the disk is full, make room .*can't be written since .*run the same command/,
    );
    const lost = Number(/(\d+) answers? that arrived could not be stored/.exec(last)?.[1]);
    assert.equal(lost, billed - answers, last);
  },
});
