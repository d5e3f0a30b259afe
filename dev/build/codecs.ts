/**
 * @module build/codecs: makes the modules of `lib/image/` that hold a codec, from the packages in
 * the lock: WASM that is part of the code is there in a bundle and in an executable, and needs no
 * permission to be read. `deno task --config dev/deno.json codecs` writes them anew.
 */

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";

const ROOT = new URL("../../", import.meta.url);

/** A module that is made, and the file in a package that it holds. */
export interface CodecModule {
  /** Relative to the root. */
  readonly path: string;
  /** As an import names it. */
  readonly source: string;
  /** What it does, for the module's own comment. */
  readonly what: string;
}

/** The modules that are made. */
export const CODEC_MODULES: readonly CodecModule[] = [
  {
    path: "lib/image/jpeg_decoder_wasm.ts",
    source: "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm",
    what: "decodes JPEG",
  },
  {
    path: "lib/image/jpeg_encoder_wasm.ts",
    source: "@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm",
    what: "encodes JPEG",
  },
  {
    path: "lib/image/webp_decoder_wasm.ts",
    source: "@jsquash/webp/codec/dec/webp_dec.wasm",
    what: "decodes WebP",
  },
];

/** The codec as the locked package has it. */
export async function packagedCodec({ source }: CodecModule): Promise<Uint8Array<ArrayBuffer>> {
  return await Deno.readFile(createRequire(import.meta.url).resolve(source));
}

/** The module that holds these bytes. */
export function codecModule({ path, source, what }: CodecModule, wasm: Uint8Array): string {
  const name = path.replace(/^lib\/|\.ts$/g, "");
  const sha256 = createHash("sha256").update(wasm).digest("hex");
  return `/**
 * @module ${name}: the WASM that ${what}:
 * ${source} of the locked package,
 * SHA-256 ${sha256}.
 * Made by \`deno task --config dev/deno.json codecs\`; not to be changed by hand.
 */

/** Base64 of the gzip of it. */
// deno-fmt-ignore
export const WASM = "${gzipSync(wasm, { level: 9 }).toString("base64")}";
`;
}

if (import.meta.main) {
  for (const module of CODEC_MODULES) {
    const text = codecModule(module, await packagedCodec(module));
    await Deno.writeTextFile(new URL(module.path, ROOT), text);
    console.log(`${module.path}: ${text.length} characters`);
  }
}
