import assert from "node:assert/strict";
import { devCommand } from "../../testing/program.ts";

Deno.test("the reading server says in a line that its port is taken, or what its options are", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const cases: [args: string[], says: RegExp][] = [
    [["--port", `${port}`], /^OCR server: port \d+ is taken; name another one: .*--port 0\n$/],
    [
      ["--port", "eighty"],
      /^OCR server: --port must be a whole number from 0 to 65534, as the next one is taken, too\n$/,
    ],
    [["--prot", "80"], /^OCR server: Unknown option '--prot'.*\n$/],
  ];
  await Promise.all(cases.map(async ([args, says]) => {
    const server = new URL("./reading_server.ts", import.meta.url);
    const command = devCommand(server, ...args);
    const ended = await new Deno.Command(command.command, { args: command.args }).output();
    assert.equal(ended.code, 2);
    assert.match(new TextDecoder().decode(ended.stderr), says);
  }));
});
