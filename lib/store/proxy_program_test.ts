import assert from "node:assert/strict";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";

/** A proxy that notes what it is asked for; it passes `http://` requests on to one server. */
function startProxy(
  target: URL,
): Promise<{ url: string; asked: string[] } & AsyncDisposable> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const asked: string[] = [];
  const open = new Set<Deno.TcpConn>();
  const serve = async (client: Deno.TcpConn) => {
    open.add(client);
    let server: Deno.TcpConn | undefined;
    try {
      const head = new Uint8Array(64 * 1024);
      const n = await client.read(head) ?? 0;
      if (n === 0) return;
      asked.push(new TextDecoder().decode(head.subarray(0, n)).split(" HTTP/")[0]);
      if (asked.at(-1)!.startsWith("CONNECT")) return;
      server = await Deno.connect({ hostname: target.hostname, port: Number(target.port) });
      open.add(server);
      for (let at = 0; at < n;) at += await server.write(head.subarray(at, n));
      await Promise.race([
        client.readable.pipeTo(server.writable),
        server.readable.pipeTo(client.writable),
      ]);
    } catch {
      // either side went away
    } finally {
      for (const conn of [client, server]) {
        try {
          conn?.close();
        } catch {
          // its streams have closed it
        }
      }
    }
  };
  const accepting = (async () => {
    const running: Promise<void>[] = [];
    for await (const client of listener) running.push(serve(client));
    await Promise.all(running);
  })();
  return Promise.resolve({
    url: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) {
        try {
          conn.close();
        } catch {
          // closed already
        }
      }
      await accepting;
    },
  });
}

Deno.test("S3 is reached through the proxy of the environment, except for the hosts of NO_PROXY", async () => {
  await using bench = await openBench(rows(3));
  await using proxy = await startProxy(new URL(bench.s3.url));
  const past = await bench.run([], { HTTP_PROXY: proxy.url, NO_PROXY: "127.0.0.1" });
  assert.equal(past.code, 0, past.stderr);
  assert.equal(proxy.asked.length, 0, proxy.asked[0]);
  const api = new URL(bench.api.url).host;
  const through = await bench.run(["--fresh"], { http_proxy: proxy.url, NO_PROXY: api });
  assert.equal(through.code, 0, through.stderr);
  assert.ok(proxy.asked.length > 0);
  for (const line of proxy.asked) assert.ok(line.includes(` ${bench.s3.url}/`), line);
});

Deno.test("AWS and Secrets Manager are asked for through HTTPS_PROXY", async () => {
  await using bench = await openBench(rows(1));
  await using proxy = await startProxy(new URL(bench.s3.url));
  const env = { HTTPS_PROXY: proxy.url, AWS_ENDPOINT_URL_S3: "", DENO_NO_UPDATE_CHECK: "1" };
  const s3 = await bench.run(["--max-outage-minutes", "0"], env);
  assert.equal(s3.code, 75, s3.stderr);
  assert.deepEqual(new Set(proxy.asked), new Set(["CONNECT bench.s3.us-east-1.amazonaws.com:443"]));
  proxy.asked.length = 0;
  const secret = await bench.run([], { ...env, UPSTAGE_API_KEY: "", AWS_SECRET_ARN: "a-secret" });
  assert.equal(secret.code, 75, secret.stderr);
  assert.match(message(secret), /Secrets Manager in us-east-1 can't be reached/);
  const asked = new Set(proxy.asked);
  assert.deepEqual(asked, new Set(["CONNECT secretsmanager.us-east-1.amazonaws.com:443"]));
});
