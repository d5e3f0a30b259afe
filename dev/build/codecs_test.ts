import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { CODEC_MODULES, codecModule, packagedCodec } from "./codecs.ts";

const ROOT = new URL("../../", import.meta.url);

for (const module of CODEC_MODULES) {
  Deno.test(`${module.path} is what the locked package has, and nothing else`, async () => {
    const wasm = await packagedCodec(module);
    const text = await Deno.readTextFile(new URL(module.path, ROOT));
    // How well it is packed may depend on the machine, what is in it must not.
    const packed = /"([A-Za-z0-9+/=]{1000,})"/;
    const held = gunzipSync(Buffer.from(packed.exec(text)![1], "base64"));
    assert.ok(held.equals(wasm));
    assert.equal(text.replace(packed, ""), codecModule(module, wasm).replace(packed, ""));
  });
}
