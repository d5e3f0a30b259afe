/**
 * @module bench/loop: the least that labeling can cost: a bare `fetch` loop that gets each image,
 * posts it to the API and puts the answer into the bucket, and does nothing else. Run as a process:
 * `deno run dev/bench/loop.ts JSON`, see {@linkcode LoopOptions}.
 */

import { gzipSync } from "node:zlib";
import { BENCH_ACCESS_KEY } from "./servers.ts";

/** What the loop does. */
export interface LoopOptions {
  /** Base URL of the API. */
  readonly apiUrl: string;
  /** Base URL of the S3 server. */
  readonly s3Url: string;
  /** Bucket of images and answers. */
  readonly bucket: string;
  /** Which images: `images/{dataset}/0.png` and so on. */
  readonly dataset: string;
  /** How many images. */
  readonly rows: number;
  /** Images at a time. */
  readonly concurrency: number;
}

async function loop(options: LoopOptions): Promise<void> {
  const { apiUrl, s3Url, bucket, dataset, rows, concurrency } = options;
  const headers = { authorization: `Credential=${BENCH_ACCESS_KEY}/` };
  let packed: Uint8Array<ArrayBuffer> | undefined;
  const one = async (i: number) => {
    const image = await fetch(`${s3Url}/${bucket}/images/${dataset}/${i}.png`, { headers });
    const form = new FormData();
    form.append("document", new Blob([await image.arrayBuffer()]), "document.png");
    form.append("model", "ocr");
    const answer = await fetch(`${apiUrl}/document-digitization`, { method: "POST", body: form });
    const bytes = await answer.bytes();
    // All answers are alike, so packing one says how long they are.
    packed ??= new Uint8Array(gzipSync(bytes));
    const address = `${s3Url}/${bucket}/answers/${dataset}/${i}.json.gz`;
    const put = await fetch(address, { method: "PUT", headers, body: packed });
    await put.body?.cancel();
    if (!image.ok || !answer.ok || !put.ok) throw new Error(`image ${i} failed`);
  };
  let next = 0;
  const hand = async () => {
    while (next < rows) await one(next++);
  };
  await Promise.all(Array.from({ length: concurrency }, hand));
}

if (import.meta.main) await loop(JSON.parse(Deno.args[0]));
