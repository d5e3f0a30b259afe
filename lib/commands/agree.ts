/**
 * @module commands/agree: holds the stored answers of two engines against each other.
 */

import { systemClock } from "../base/clock.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { parseJsonAs } from "../base/json.ts";
import { jsonLine } from "../base/text.ts";
import { PROGRAM } from "../base/version.ts";
import type { Command } from "../cli/command.ts";
import { FLAGS as SHARED, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";
import type { AgreementDocument, AgreementFooter } from "../state/documents.ts";
import type { EngineModel } from "../state/engine_answers.ts";
import type { Store } from "../store/store.ts";
import type { LabelledBy } from "./engine_pair.ts";
import { PAIR_FLAGS } from "./pair_flags.ts";

/** Writes what it finds beside the output and to `reports/{dataset}/`; changes no labels. */
export const command: Command = {
  name: "agree",
  summary: "hold two engines' answers for the same pages against each other, word by word",
  description:
    "Finds the other engine's stored answer for each image, by content, and writes beside the " +
    "output how far both agree on each page and word, and what the other one read: for export " +
    "--min-agreement, gallery --disagreeing and evaluate. Pages that one of them has not read are " +
    "counted, with the command that labels them. Asks nothing, pays nothing, needs no API key.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.outputKey,
    OPTIONS.checkpointPrefix,
  ],
  flags: [...Object.values(PAIR_FLAGS), SHARED.json],
  async run(values, context) {
    const settings = readSettings(values);
    const { labelCommand, readPair, settlePair } = await import("./engine_pair.ts");
    const wishes = readPair(values, settings.datasetName);
    const [
      { agreeOnRows },
      { AgreementSum },
      { openOutput },
      { openSource },
      { renderAgreement },
      agreement,
      { EngineAnswers },
      { agreementReportKey },
      { writeDocument },
      { openUnasking },
      { watchRows },
    ] = await Promise.all([
      import("../evaluate/agree.ts"),
      import("../evaluate/agreement_sum.ts"),
      import("../dataset/output_scan.ts"),
      import("../parquet/source.ts"),
      import("../view/agreement_text.ts"),
      import("../state/agreement.ts"),
      import("../state/engine_answers.ts"),
      import("../state/keys.ts"),
      import("../state/document.ts"),
      import("./services.ts"),
      import("../cli/watch_rows.ts"),
    ]);
    const { stop: signal, print, printError, terminal } = context;
    await using services = await openUnasking(settings, values.env, context);
    const { store, images } = services;
    const { datasetName: dataset, outputKey, checkpointPrefix } = settings;
    const info = await store.stat(outputKey, { signal });
    if (!info) {
      throw new RunError(
        "conflict",
        `${store.url}/${outputKey} is not there: label the data set to its end first ` +
          `(run --dataset-name ${dataset})`,
      );
    }
    const output = await openOutput(openSource(store, info, { signal }));
    if (output.rows === 0) throw new RunError("conflict", `${store.url}/${outputKey} has no rows`);
    const origin = await originOf(output.keyValues, store, checkpointPrefix, dataset);
    const places = { store, checkpointPrefix, signal };
    const pair = await settlePair(wishes, origin, dataset, places);
    await agreement.checkAgreementPlace(store, outputKey, signal);
    const [a, b] = await Promise.all(pair.map((each) => EngineAnswers.open(store, each)));
    const toLabel = (each: EngineModel) => labelCommand(each, origin, dataset, store, values);
    for (const answers of [a, b]) {
      if (await answers.any(signal)) continue;
      throw new RunError(
        "conflict",
        `no answer of ${agreement.engineText(answers)} is stored: label the pages with it first ` +
          `(${toLabel(answers)}), then compare again`,
      );
    }
    const sum = new AgreementSum();
    using watch = watchRows("comparing answers", context, systemClock);
    const footer: AgreementFooter = {
      ...{ format: "pseudolabel-agreement-rows/1", dataset },
      output: { key: outputKey, etag: info.etag, bytes: info.size, rows: output.rows },
      ...{ a: pair[0], b: pair[1] },
    };
    const job = { rows: output.scan(), a, b, images, sum, signal };
    const onProgress = (rows: number) => watch.progress(rows, output.rows);
    const rows = agreeOnRows({ ...job, onProgress });
    const written = await agreement.writeAgreement(store, footer, rows, signal)
      .catch((error) => {
        const replaced = error instanceof StoreError && error.kind === "precondition";
        if (!replaced) throw error;
        const message = `${store.url}/${outputKey} was replaced while it was read: run again`;
        throw new RunError("again", message, { cause: error });
      });
    const figures = sum.figures;
    const document: AgreementDocument = {
      ...{ format: "pseudolabel-agreement/1", dataset },
      ...{ made_at: new Date(systemClock.now()).toISOString(), made_by: PROGRAM },
      output: {
        ...{ url: `${store.url}/${outputKey}`, etag: info.etag },
        ...{ bytes: info.size, rows: output.rows },
      },
      rows: {
        url: `${store.url}/${written.key}`,
        ...{ etag: written.etag, bytes: written.size },
      },
      ...figures,
      a: { ...pair[0], ...figures.a },
      b: { ...pair[1], ...figures.b },
    };
    const key = agreementReportKey(dataset);
    await writeDocument(store, key, document, { signal });
    watch[Symbol.dispose]();
    if (values.onCommandLine(SHARED.json)) print(jsonLine(document) + "\n");
    else {
      print(renderAgreement(document, terminal?.columns() ?? 80).join("\n") + "\n");
      for (const each of [written.key, key]) print(`${store.url}/${each}\n`);
    }
    for (const side of [document.a, document.b]) {
      if (side.missing === 0) continue;
      printError(
        `${side.missing} of ${output.rows} pages have no stored answer of ` +
          `${agreement.engineText(side)}. This labels them (what is answered already is not paid ` +
          `for again), then compare again:\n  ${toLabel(side)}\n`,
      );
    }
    return "ok";
  },
};

/** By which engine the data set was labelled, and of which input. */
async function originOf(
  keyValues: Readonly<Record<string, string>>,
  store: Store,
  checkpointPrefix: string,
  dataset: string,
): Promise<LabelledBy> {
  const [{ OUTPUT_FOOTER_KEY, outputFooter }, { readManifest }, { CheckpointKeys }] = await Promise
    .all([
      import("../state/documents.ts"),
      import("../state/manifest.ts"),
      import("../state/keys.ts"),
    ]);
  const { value } = parseJsonAs(outputFooter, keyValues[OUTPUT_FOOTER_KEY] ?? "");
  if (value) return value;
  const manifest = await readManifest(
    store,
    new CheckpointKeys(checkpointPrefix, dataset).manifest,
  );
  if (manifest) {
    return { engine: manifest.engine, model: manifest.model, input: manifest.input.url };
  }
  throw new RunError(
    "conflict",
    `the labels of '${dataset}' don't say with which engine they were made: label it again ` +
      `(run --dataset-name ${dataset})`,
  );
}
