import assert from "node:assert/strict";
import fc from "fast-check";
import { multipart } from "./multipart.ts";

Deno.test("multipart() is a form that is read back as it was, whatever bytes and names it holds", async () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 })
    // The reader of these tests takes a semicolon in quotes for the end of the name.
    .filter((text) => text.isWellFormed() && !/[\r\n"%\\;]/.test(text));
  await fc.assert(fc.asyncProperty(bytes, name, fc.string(), async (file, filename, text) => {
    const value = text.toWellFormed();
    const fields = [
      ["document", { bytes: new Uint8Array(file), filename, type: "image/png" }],
      ["model", value],
    ] as const;
    const form = await new Response(multipart(fields)).formData();
    assert.deepEqual([...form.keys()], ["document", "model"]);
    const got = form.get("document") as File;
    assert.deepEqual([got.name, got.type], [filename, "image/png"]);
    assert.deepEqual(new Uint8Array(await got.arrayBuffer()), new Uint8Array(file));
    assert.equal(form.get("model"), value);
  }));
});

Deno.test("multipart() lets no name end its line or its quotes", async () => {
  const evil = 'a"; filename="b\r\nX-Evil: 1\r\n\r\n';
  const text = await multipart([[evil, "x"]], "edge").text();
  assert.equal(
    text,
    '--edge\r\nContent-Disposition: form-data; name="a%22; filename=%22b%0D%0AX-Evil: 1' +
      '%0D%0A%0D%0A"\r\n\r\nx\r\n--edge--\r\n',
  );
});
