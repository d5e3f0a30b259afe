/**
 * @module aws/setup: runs `setup-aws.sh` with the real aws client against
 * `dev/doubles/aws/server.ts`, in a folder of its own, and keeps what the tests look at: output,
 * exit code, every argument the client saw.
 */

import type { AwsDouble } from "../doubles/aws/server.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** What a checkout needs for the script. */
const FILES = [
  "setup-aws.sh",
  "batch-job-def.json",
  "dev/aws/stack.yaml",
  "dev/aws/client.sh",
  "dev/aws/keep.sh",
  "dev/aws/network.sh",
  "dev/aws/stack.sh",
  "dev/aws/job_definition.sh",
  "dev/aws/teardown.sh",
];

/** Keeps a client that is a Python program loaded. */
const WARM_CLIENT = `${ROOT}dev/aws/warm_client.py`;

/** The script is killed after so long; it takes some twenty calls of up to a second each. */
const MOST_MS = 180_000;

/** How the script ended. */
export interface SetupEnded {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a run of the script is given. */
export interface SetupOptions {
  /** Added to the environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Standard input. @default empty */
  readonly stdin?: string;
}

/** A folder with the script in it. Disposing removes it. */
export interface SetupFolder extends AsyncDisposable {
  /** The folder. */
  readonly path: string;
  /** Runs the script to its end. */
  run(args: readonly string[], options?: SetupOptions): Promise<SetupEnded>;
  /** Every call of the client so far, its arguments joined by spaces. */
  clientCalls(): Promise<string[]>;
  /** `config.env` by name; `undefined` if there is none. */
  config(): Promise<Record<string, string> | undefined>;
}

/** Where the AWS client of version 2 is; `undefined` if it is not installed. */
export function findAwsClient(): string | undefined {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      const { stdout } = new Deno.Command(`${folder}/aws`, {
        args: ["--version"],
        stderr: "null",
      }).outputSync();
      if (new TextDecoder().decode(stdout).startsWith("aws-cli/2")) return `${folder}/aws`;
    } catch {
      // Not in this folder.
    }
  }
}

/**
 * Makes the folder.
 *
 * @param endpoint The double, or any address.
 * @param client From {@linkcode findAwsClient}
 */
export async function setupFolder(
  endpoint: Pick<AwsDouble, "url">,
  client: string,
): Promise<SetupFolder> {
  const path = await Deno.makeTempDir({ prefix: "setup_aws_" });
  await Deno.mkdir(`${path}/dev/aws`, { recursive: true });
  await Deno.mkdir(`${path}/bin`);
  for (const file of FILES) await Deno.copyFile(ROOT + file, `${path}/${file}`);
  const warm = await warmClient(client, path);
  // Older clients know no variable that names an endpoint, so a wrapper adds the option.
  await writeScript(
    `${path}/bin/aws`,
    `printf '%s ' "$@" >> '${path}/calls'; printf '\\n' >> '${path}/calls'\n` +
      `env >> '${path}/environments'\n` +
      `exec ${warm?.command ?? `'${client}'`} --endpoint-url '${endpoint.url}' "$@"\n`,
  );
  // Nobody waits in a test: the double moves on with every look at it.
  await writeScript(`${path}/bin/sleep`, "exit 0\n");
  return {
    path,
    run: async (args, { env = {}, stdin = "" } = {}) => {
      const given = {
        PATH: `${path}/bin:/usr/bin:/bin`,
        HOME: path,
        AWS_ACCESS_KEY_ID: "DOUBLEACCESSKEY",
        AWS_SECRET_ACCESS_KEY: "doublesecret",
        AWS_EC2_METADATA_DISABLED: "true",
        ...env,
      };
      const child = new Deno.Command("/bin/bash", {
        args: [`${path}/setup-aws.sh`, ...args],
        clearEnv: true,
        env: Object.fromEntries(
          Object.entries(given).filter((pair): pair is [string, string] => pair[1] !== undefined),
        ),
        cwd: "/",
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      // The script may end without reading it.
      await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
      await writer.close().catch(() => {});
      const watchdog = setTimeout(() => child.kill("SIGKILL"), MOST_MS);
      const { code, stdout, stderr } = await child.output().finally(() => clearTimeout(watchdog));
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, stdout: out, stderr: err };
    },
    clientCalls: async () =>
      (await Deno.readTextFile(`${path}/calls`).catch(() => "")).split("\n").filter((l) => l),
    config: async () => {
      const text = await Deno.readTextFile(`${path}/config.env`).catch(() => undefined);
      return text && Object.fromEntries(
        text.trimEnd().split("\n").map((line) => /^([^=]+)=(.*)$/.exec(line)!.slice(1)),
      );
    },
    async [Symbol.asyncDispose]() {
      await warm?.[Symbol.asyncDispose]();
      await Deno.remove(path, { recursive: true });
    },
  };
}

/**
 * Loads the client once for all calls, where it is a Python program that can be loaded.
 *
 * @returns What calls it, for a shell; disposing it ends it.
 */
async function warmClient(
  client: string,
  folder: string,
): Promise<AsyncDisposable & { readonly command: string } | undefined> {
  using file = await Deno.open(client);
  const begin = new Uint8Array(128);
  await file.read(begin);
  const python = /^#!(\S+\/python3\S*)\n/.exec(new TextDecoder().decode(begin))?.[1];
  if (!python) return undefined;
  const socket = `${folder}/client.socket`;
  const child = new Deno.Command(python, {
    args: [WARM_CLIENT, "serve", socket],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", HOME: folder },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const output = child.stdout.getReader();
  const { value } = await output.read();
  const end = async () => {
    await child.stdin.close();
    await output.cancel();
    await child.status;
  };
  if (value) {
    const command = `${python} -I -S '${WARM_CLIENT}' call '${socket}'`;
    return { command, [Symbol.asyncDispose]: end };
  }
  await end();
}

async function writeScript(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, `#!/bin/bash\n${text}`, { mode: 0o755 });
}
