/**
 * @module image/wasm: codecs in WASM, which modules beside hold as text, made to instances without
 * the network and without a file.
 */

import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";

/**
 * Makes an instance of a codec.
 *
 * @param factory The package's own.
 * @param print Told what the codec prints.
 */
export async function instantiate<T>(
  factory: (options: never) => Promise<unknown>,
  codec: WebAssembly.Module,
  print: (line: string) => void,
): Promise<T> {
  const options = {
    noInitialRun: true,
    print,
    printErr: print,
    instantiateWasm(
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance) => void,
    ): WebAssembly.Exports {
      const instance = new WebAssembly.Instance(codec, imports);
      done(instance);
      return instance.exports;
    },
  };
  return await factory(options as never) as T;
}

/** The codec that a module beside holds. @param base64 Of the gzip of it. */
export async function compile(base64: string): Promise<WebAssembly.Module> {
  return await WebAssembly.compile(new Uint8Array(gunzipSync(Buffer.from(base64, "base64"))));
}
