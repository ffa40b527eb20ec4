import { createHash } from "node:crypto";
import type { AccountFile } from "./accountFile";
import type { Clock } from "./clock";
import { newId } from "./ids";
import type { ListLag } from "./listLag";
import type { Delegation, RegistryAuth } from "./records";
import { AccountError } from "./rules";

interface Login {
  username: string;
  password: string;
}

/**
 * Lifetime of an ECR authorization token (AWS, GetAuthorizationToken). The username of such a token is always `AWS`.
 */
const ECR_TOKEN_LIFETIME_MS = 12 * 3_600_000;

/** Access of an account to private images: registry credentials and ECR delegations. */
export class Registries {
  /** Value of `clock.skippedMs` when a credential got its password, by credential id. */
  private readonly skippedMsAtRenewal = new Map<string, number>();
  /** Passwords by credential id. They stay in memory, because the account's file must contain no secret. */
  private readonly passwords = new Map<string, string>();

  constructor(
    private readonly file: AccountFile,
    private readonly clock: Clock,
    private readonly lag: ListLag,
  ) {}

  get all(): RegistryAuth[] {
    return Object.values(this.file.data.registryAuths);
  }

  get delegations(): Delegation[] {
    return Object.values(this.file.data.delegations);
  }

  find(id: string): RegistryAuth | undefined {
    return this.file.data.registryAuths[id];
  }

  /** Password of a credential. Undefined after a restart. */
  passwordOf(id: string): string | undefined {
    return this.passwords.get(id);
  }

  /** @throws AccountError when the id belongs to neither a credential nor an ECR delegation */
  require(id: string): void {
    if (!this.find(id) && !this.file.data.delegations[id]) throw new AccountError("Registry auth not found", "missing");
  }

  /** Creates a credential. Its name must be unique. */
  create({ name, ...login }: Login & { name: string }): RegistryAuth {
    if (this.all.some((auth) => auth.name === name)) throw new AccountError("Registry auth name must be unique");
    return this.store(newId(), name, login, undefined);
  }

  /** Replaces a credential's username and password. Id and name stay the same. */
  update({ id, ...login }: Login & { id: string }): RegistryAuth {
    const auth = this.requireAuth(id);
    return this.store(id, auth.name, login, auth);
  }

  /** Deletes a credential. */
  remove(id: string): void {
    this.lag.noteDeleted("registryAuths", this.requireAuth(id));
    this.passwords.delete(id);
    delete this.file.data.registryAuths[id];
    this.file.save("registryAuths", id);
  }

  /** Makes the registry refuse a credential until its password changes. */
  expire(id: string): void {
    this.requireAuth(id).isExpired = true;
    this.file.save("registryAuths", id);
  }

  /** Expires ECR tokens after 12 hours of skipped time. */
  sweep(): void {
    for (const auth of this.all) {
      const ageMs = this.clock.skippedMs - (this.skippedMsAtRenewal.get(auth.id) ?? 0);
      if (auth.username !== "AWS" || ageMs < ECR_TOKEN_LIFETIME_MS) continue;
      auth.isExpired = true;
      this.file.save("registryAuths", auth.id);
    }
  }

  /**
   * Registers an ECR delegation for one repository.
   *
   * @param resource ARN of the repository
   */
  delegate(resource: string, name: string | null): Delegation {
    const [, awsRegion = "", awsUser = "", path = ""] =
      /^arn:aws[a-z-]*:ecr:([a-z0-9-]+):(\d{12}):repository\/(.+)$/.exec(resource) ?? [];
    if (!path) throw new AccountError(`resource must be the ARN of an ECR repository, got ${resource}`);
    const [repository = "", tag = "*"] = path.split(":");
    const delegation: Delegation = {
      id: newId("deleg_"),
      name,
      delegatorUserId: this.file.data.account.userId,
      awsUser,
      repository,
      tag,
      awsRegion,
      dockerRegistryUri: `${awsUser}.dkr.ecr.${awsRegion}.amazonaws.com`,
      createdAt: this.clock.timestamp(),
    };
    this.file.data.delegations[delegation.id] = delegation;
    this.file.save("delegations", delegation.id);
    return delegation;
  }

  /** Revokes an ECR delegation. */
  revoke(id: string): void {
    if (!this.file.data.delegations[id]) throw new AccountError("Delegation not found", "missing");
    delete this.file.data.delegations[id];
    this.file.save("delegations", id);
  }

  private store(id: string, name: string, { username, password }: Login, before: RegistryAuth | undefined) {
    if (!username || !password) throw new AccountError("username and password are required");
    const passwordHash = createHash("sha256").update(`${id}:${password}`).digest("hex");
    const isSame = before?.passwordHash === passwordHash;
    const auth: RegistryAuth = { id, name, username, passwordHash, isExpired: isSame && before.isExpired };
    if (!isSame) this.skippedMsAtRenewal.set(id, this.clock.skippedMs);
    if (!before) this.lag.noteCreated(id);
    this.passwords.set(id, password);
    this.file.data.registryAuths[id] = auth;
    this.file.save("registryAuths", id);
    return auth;
  }

  private requireAuth(id: string): RegistryAuth {
    const auth = this.find(id);
    if (!auth) throw new AccountError("Registry auth not found", "missing");
    return auth;
  }
}
