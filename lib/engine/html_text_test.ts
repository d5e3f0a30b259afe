import assert from "node:assert/strict";
import fc from "fast-check";
import { textOfHtml } from "./html_text.ts";

const TEXTS: readonly (readonly [html: string, text: string])[] = [
  ["<p id='0' style='font-size:18px'>합계 <b>9,000</b>원</p>", "합계 9,000원"],
  ["<h1 id='1'>Company<br>Upstage</h1>", "Company\nUpstage"],
  [
    "a &amp; b &lt;c&gt; &quot;d&quot; &#39;e&#x27; &nbsp;f &copy; &euro;5",
    `a & b <c> "d" 'e' f © €5`,
  ],
  ["&amp;amp; &unheard; & alone &not here", "&amp; &unheard; & alone ¬ here"],
  ["<p>one</p>\n<p>  two\n  three </p>", "one\ntwo three"],
  ["<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>", "a\nb\nc"],
  ["<br><h3>x</h3><br><br>y", "x\ny"],
  [
    "<table><caption>영수증</caption><thead><tr><th>품목</th><th>수량</th><th>금액</th></tr></thead>" +
    "<tbody><tr><td>커피</td><td></td><td>9,000<br>원</td></tr></tbody></table>",
    "영수증\n품목\t수량\t금액\n커피\t\t9,000 원",
  ],
  ["<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a\tb\nc\td"],
  ["<table><tr><td> </td><td></td></tr><tr><td></td><td>x</td></tr></table>", "\tx"],
  [
    "<table><tr><td>a<table><tr><td>b</td><td>c</td></tr></table>d</td><td>e</td></tr></table>",
    "a b c d\te",
  ],
  ["before<table><tr><td>a</td></tr></table>after", "before\na\nafter"],
  [
    "<figure><img alt=\"Total &amp; tax\" src='x'/><figcaption>Fig. 1</figcaption></figure>",
    "Total & tax\nFig. 1",
  ],
  ["<figure><img></figure>", ""],
  ["<p>a</p><script>b()</script><style>c{}</style><template>d</template><!-- e -->", "a"],
  ["<pre>a\n  b</pre>", "a\nb"],
  ["no HTML at all", "no HTML at all"],
  ["3 < 4 > 2", "3 < 4 > 2"],
  ["<p>never closed <b>bold", "never closed bold"],
  ["</td></tr></table>x", "x"],
  ["<td>x</td><td>y", "x\ty"],
  ["", ""],
];

Deno.test("textOfHtml() gives the text that a reader sees: entities, lines, rows and cells of tables", () => {
  for (const [html, text] of TEXTS) assert.equal(textOfHtml(html), text, html);
});

Deno.test("textOfHtml() gives any text back that was escaped, however deep it lies", () => {
  const escape = (text: string) =>
    text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
  fc.assert(fc.property(
    fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0")),
    fc.array(fc.constantFrom("p", "div", "b", "table", "li", "x-y")),
    (text, around) => {
      const html = around.reduceRight((inner, name) => `<${name}>${inner}</${name}>`, escape(text));
      assert.equal(textOfHtml(html), text.replace(/\s+/g, " ").trim());
    },
  ));
});

Deno.test("textOfHtml() takes any HTML, and gives up where elements lie within one another without end", () => {
  fc.assert(fc.property(
    fc.array(
      fc.constantFrom(..."<td>|</td>|<tr>|</table>|<table>|<br>|<pre>|a|<|&|\n|<img alt=b>|</p>"
        .split("|")),
    ),
    (parts) => {
      const lines = textOfHtml(parts.join(""))!.split("\n");
      if (lines.length > 1) {
        assert.ok(lines.every((line) => line.trim() !== "" || line.includes("\t")));
      }
    },
  ));
  assert.equal(textOfHtml("<div>".repeat(900) + "x" + "<td>y".repeat(9_000))!.slice(0, 3), "x\ny");
  assert.equal(textOfHtml("<div>".repeat(100_000)), undefined);
});
