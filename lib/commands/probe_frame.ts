/**
 * @module commands/probe_frame: finds out, with one page, in which frame an engine answers.
 */

import { systemClock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { dollars } from "../base/figures.ts";
import { quoted } from "../base/text.ts";
import type { Command } from "../cli/command.ts";
import { FLAGS, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";

/** Asks for one page, unless its answer is stored. */
export const command: Command = {
  name: "probe-frame",
  summary: "find out with one page how the engine reads turned pictures",
  description:
    "Sends a picture that EXIF turns by half, whose text shows by its place whether the engine " +
    "turns pictures. export needs to know it for pictures that are turned by half, mirrored or " +
    "square. The answer is stored like any other: a second probe of a model costs nothing.",
  options: [
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.engine,
    OPTIONS.model,
    OPTIONS.engineUrl,
    OPTIONS.httpFormat,
    OPTIONS.language,
    OPTIONS.pricePerPage,
  ],
  flags: [FLAGS.yes],
  async run(values, context) {
    const wanted = readSettings(values, "every data set");
    const [{ openServices }, { findFrame }, { findEngine }] = await Promise.all([
      import("./services.ts"),
      import("../state/known_frame.ts"),
      import("../engine/engines.ts"),
    ]);
    await using services = await openServices(wanted, values.env, {
      asks: true,
      standalone: context.standalone,
      note: (message) => context.printError(`${message}\n`),
      clock: systemClock,
    });
    if (services.greeting) context.printError(`${services.greeting}\n`);
    const { store, connection, settings } = services;
    const engine = findEngine(settings.engine)!;
    const { model } = settings;
    let known = await findFrame(store, engine.name, model, context.stop);
    if (!known) {
      const price = dollars(services.pricePerPage ?? settings.pricePerPage);
      if (context.ask && !values.onCommandLine(FLAGS.yes)) {
        const answer = await context.ask(`Ask ${engine.name} for one page, ${price}? [y/N] `);
        if (!/^y(es)?$/i.test(answer?.trim() ?? "")) {
          throw new RunError("again", "not begun: nothing was sent or paid");
        }
      }
      const [{ AnswerStore }, { probePicture }, { Tickets }, { askOnce }] = await Promise.all([
        import("../state/answer_store.ts"),
        import("../engine/frame_probe.ts"),
        import("../state/tickets.ts"),
        import("../label/ask_once.ts"),
      ]);
      const picture = probePicture();
      const tickets = new Tickets(store, engine.name, model);
      const name = "probe-frame";
      const paidBy = { run_id: crypto.randomUUID(), dataset: name, row_id: name };
      const outcome = await askOnce(picture, {
        ...{ connection: connection!, engine: engine.name, model, tickets, paidBy },
        ...{ clock: systemClock, signal: context.giveUp },
      });
      if (outcome.kind !== "answered") {
        const exit = outcome.kind === "refused" || outcome.kind === "rejected" ? "api" : "again";
        throw new RunError(exit, `${engine.name} gave no answer: ${quoted(outcome.message)}`);
      }
      await new AnswerStore(store, engine.name, model).save({
        image_sha256: picture.sha256,
        image_bytes: picture.bytes.byteLength,
        media_type: picture.mediaType.type,
        ...engine.needsPicture && { picture: picture.picture },
        attempts: 1,
        received_at: new Date(systemClock.now()).toISOString(),
        paid_by: paidBy,
      }, outcome.text ?? outcome.utf8);
      if (connection!.collect) await tickets.remove(picture.sha256);
      known = await findFrame(store, engine.name, model, context.stop);
    }
    const { frame, modelVersion } = known ?? { frame: "unknown", modelVersion: null };
    context.print(`${frame}\n`);
    context.printError(
      frame === "unknown"
        ? "The answer doesn't show it: say it with export --frame once you know it.\n"
        : `${modelVersion ?? model} reads pictures ${SAID[frame]}; export knows it from now on.\n`,
    );
    return "ok";
  },
};

const SAID = { upright: "turned upright by EXIF", stored: "as they are stored" } as const;
