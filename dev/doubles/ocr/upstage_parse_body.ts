/**
 * @module doubles/ocr/upstage_parse_body: the answers of Document Parse as it gives them: elements
 * with places as parts of the page, and texts in HTML.
 */

import type { ReadPage } from "../../testing/read_page.ts";

/** An element of a page. */
export interface LayoutElement {
  /** As in `paragraph`. */
  readonly category: string;
  /** As the API gives it. */
  readonly html: string;
  /** Four corners in pixels, clockwise from the top left. */
  readonly corners: readonly { readonly x: number; readonly y: number }[];
}

/** A page, by its elements. */
export interface Layout extends Pick<ReadPage, "width" | "height"> {
  /** In reading order. */
  readonly elements: readonly LayoutElement[];
}

/** A page with an element for each of its words. */
export function wordLayout(page: ReadPage): Layout {
  const { width, height, words } = page;
  const elements = words.map(({ text, vertices }, id): LayoutElement => ({
    category: "paragraph",
    html: `<p id='${id}' data-category='paragraph' style='font-size:18px'>${escaped(text)}</p>`,
    corners: vertices,
  }));
  return { width, height, elements };
}

/** The API's answer for some pages. @param first Number of the first of them, from 1. */
export function parseBody(pages: readonly Layout[], first = 1): Record<string, unknown> {
  const elements = pages.flatMap(({ width, height, elements }, at) =>
    elements.map(({ category, html, corners }, id) => ({
      category,
      content: { html, markdown: "", text: "" },
      coordinates: corners.map(({ x, y }) => ({ x: x / width, y: y / height })),
      id,
      page: first + at,
    }))
  );
  return {
    api: "2.0",
    content: { html: elements.map(({ content }) => content.html).join("\n"), text: "" },
    elements,
    model: "document-parse-260930",
    usage: { pages: pages.length },
  };
}

/** A text as HTML holds it. */
function escaped(text: string): string {
  return text.toWellFormed().replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
