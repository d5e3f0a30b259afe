/**
 * @module submit/github_login: a fresh login to AWS from inside a GitHub workflow, without
 * long-lived keys. A role's session ends after an hour, and a job often does not.
 *
 * https://docs.github.com/actions/reference/security/oidc
 */

/** What a workflow with `id-token: write` knows, and the role. */
export interface GithubIdentity {
  /** `ACTIONS_ID_TOKEN_REQUEST_URL` */
  readonly requestUrl: string;
  /** `ACTIONS_ID_TOKEN_REQUEST_TOKEN` */
  readonly requestToken: string;
  /** Role to assume. */
  readonly roleArn: string;
  /** STS. @default that of `region` */
  readonly stsUrl?: string;
  /** AWS region. */
  readonly region: string;
}

/** The identity that the environment describes; `undefined` outside such a workflow. */
export function githubIdentity(
  env: Readonly<Record<string, string | undefined>>,
  region: string,
): GithubIdentity | undefined {
  const requestUrl = env.ACTIONS_ID_TOKEN_REQUEST_URL;
  const requestToken = env.ACTIONS_ID_TOKEN_REQUEST_TOKEN;
  const roleArn = env.DEPLOY_ROLE_ARN;
  return requestUrl && requestToken && roleArn
    ? { requestUrl, requestToken, roleArn, region }
    : undefined;
}

/**
 * Logs in. Nothing secret goes through arguments or files: STS takes the token in a request body,
 * unsigned.
 *
 * @returns `AWS_ACCESS_KEY_ID` and its companions.
 * @throws {Error} if GitHub or STS refuses; the message holds no secret
 */
export async function loginFromGithub(identity: GithubIdentity): Promise<Record<string, string>> {
  const { requestUrl, requestToken, roleArn, region } = identity;
  const url = new URL(requestUrl);
  url.searchParams.set("audience", "sts.amazonaws.com");
  const { value } = await json<{ value: string }>("GitHub's identity token", url, {
    headers: { authorization: `bearer ${requestToken}` },
  });
  const answer = await json<StsAnswer>(
    `the role ${roleArn}`,
    new URL(identity.stsUrl ?? `https://sts.${region}.amazonaws.com/`),
    {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams({
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: roleArn,
        RoleSessionName: "pseudolabel",
        WebIdentityToken: value,
      }),
    },
  );
  const credentials = answer.AssumeRoleWithWebIdentityResponse.AssumeRoleWithWebIdentityResult
    .Credentials;
  return {
    AWS_ACCESS_KEY_ID: credentials.AccessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.SecretAccessKey,
    AWS_SESSION_TOKEN: credentials.SessionToken,
  };
}

interface StsAnswer {
  readonly AssumeRoleWithWebIdentityResponse: {
    readonly AssumeRoleWithWebIdentityResult: {
      readonly Credentials: {
        readonly AccessKeyId: string;
        readonly SecretAccessKey: string;
        readonly SessionToken: string;
      };
    };
  };
}

async function json<T>(what: string, url: URL, init: RequestInit): Promise<T> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`cannot get ${what}: ${url.host} answers ${response.status}`);
  return JSON.parse(text);
}
