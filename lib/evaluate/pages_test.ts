import assert from "node:assert/strict";
import { labelledRow } from "../../dev/testing/labelled.ts";
import { labelWords } from "./pages.ts";

Deno.test("labelWords() keeps with each word what is its own where another has no place", () => {
  const { metadata, image_path: imagePath, ...row } = labelledRow(0, {
    words: [
      { text: "flat", confidence: 0.1, box: [10, 10, 0, 0] },
      { text: "there", confidence: 0.2, box: [10, 10, 20, 20] },
    ],
  });
  const { status, word_confidences: confidences } = metadata;
  const scanned = { ...row, index: 0, imagePath, status, confidences, metadata };
  const repairs = { hulled: 0, dropped: 0 };
  const agreement = {
    ...{ state: "compared" as const, agreement: 0.5, onlyOther: 0 },
    ...{ words: [0.3, 0.4], others: ["x", "y"] },
  };
  const [word, ...none] = labelWords({ ...scanned, agreement }, [1, 1], repairs);
  assert.deepEqual([word.text, word.confidence, word.agreement, none], ["there", 0.2, 0.4, []]);
  assert.equal(repairs.dropped, 1);
  assert.ok(!("agreement" in labelWords(scanned, [1, 1], repairs)[0]));
});
