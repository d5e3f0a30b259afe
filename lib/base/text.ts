/**
 * @module base/text: other people's texts, made fit for a message.
 */

/** One line of at most 200 characters. */
export function oneLine(text = ""): string {
  return text.replace(/\s+/g, " ").slice(0, 200);
}
