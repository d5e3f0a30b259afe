/**
 * @module doubles/aws/secrets: a local server that speaks as much of AWS Secrets Manager as reading
 * a secret takes (JSON 1.1 over POST). It owns the protocol and a record of what was asked; a test
 * sets the answer, at any time.
 */

/** What is answered: a text, bytes, a body as it is, or an error as AWS words it. */
export type SecretAnswer =
  | string
  | Uint8Array
  | ReadableStream<Uint8Array>
  | { readonly status: number; readonly type: string; readonly message: string };

/** One request that arrived. */
export interface SecretRequest {
  /** Name or ARN that was asked for. */
  readonly id: string;
  /** Region that the request was signed for. */
  readonly region: string;
}

/** A running double. */
export interface SecretsDouble extends AsyncDisposable {
  /** For `AWS_ENDPOINT_URL_SECRETS_MANAGER`. */
  readonly url: string;
  /** Requests so far, retries included. */
  readonly requests: SecretRequest[];
  /** What the next request gets; may wait. */
  answer: (request: SecretRequest) => SecretAnswer | Promise<SecretAnswer>;
}

/** Starts a double on a free port of 127.0.0.1. @param answer What it begins with. */
export function startSecretsDouble(answer: SecretAnswer): SecretsDouble {
  const requests: SecretRequest[] = [];
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      if (request.headers.get("x-amz-target") !== "secretsmanager.GetSecretValue") {
        await request.body?.cancel();
        return reply(400, { __type: "UnknownOperationException" });
      }
      const { SecretId: id } = await request.json();
      const scope = /Credential=[^/]+\/\d{8}\/([^/]+)\/secretsmanager\//
        .exec(request.headers.get("authorization") ?? "");
      if (!scope) return reply(403, { __type: "MissingAuthenticationTokenException" });
      const seen = { id, region: scope[1] };
      requests.push(seen);
      const said = await double.answer(seen);
      if (typeof said === "string") return reply(200, { Name: id, SecretString: said });
      if (said instanceof Uint8Array) {
        return reply(200, { Name: id, SecretBinary: said.toBase64() });
      }
      if (said instanceof ReadableStream) return new Response(said);
      return reply(said.status, { __type: said.type, message: said.message });
    },
  );
  const double: SecretsDouble = {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    answer: () => answer,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
  return double;
}

function reply(status: number, body: Record<string, unknown>): Response {
  return Response.json(body, {
    status,
    headers: { "content-type": "application/x-amz-json-1.1" },
  });
}
