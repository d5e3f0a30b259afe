/**
 * @module testing/environment: environment variables for code in the tests' own process that finds
 * them by itself, as the AWS SDK does. Test files run side by side in one process, which has one
 * environment: so one test at a time has it, kept apart by a lock on this very file.
 */

/** Variables and their values; `undefined` takes one away. */
export type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Does some work in another environment, and puts the old one back.
 *
 * @param change What differs, given the present one. Nobody else changes it meanwhile.
 */
export async function withEnvironment<T>(
  change: (now: Variables) => Variables,
  work: () => Promise<T>,
): Promise<T> {
  using file = await Deno.open(new URL(import.meta.url));
  await file.lock(true);
  const before: Variables = Deno.env.toObject();
  const changed = change(before);
  set(changed);
  try {
    return await work();
  } finally {
    set(Object.fromEntries(Object.keys(changed).map((name) => [name, before[name]])));
  }
}

function set(variables: Variables): void {
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
}
