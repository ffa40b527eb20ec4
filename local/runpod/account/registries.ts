import { createHash } from "node:crypto";
import type { AccountFile } from "./accountFile";
import type { Clock } from "./clock";
import { newId } from "./ids";
import type { Delegation, RegistryAuth } from "./records";
import { AccountError } from "./rules";

interface Login {
  username: string;
  password: string;
}

/** Life of an ECR authorization token (AWS: GetAuthorizationToken). Its username is always AWS. */
const ECR_TOKEN_MS = 12 * 3_600_000;

/** What an account pulls private images with: credentials, and delegations of ECR repositories. */
export class Registries {
  /** What the clock had skipped when a credential got its password. */
  private readonly skippedBefore = new Map<string, number>();

  constructor(
    private readonly file: AccountFile,
    private readonly clock: Clock,
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

  /** Refuses an id that is neither a credential's nor a delegation's. */
  require(id: string): void {
    if (!this.find(id) && !this.file.data.delegations[id]) throw new AccountError("Registry auth not found", "missing");
  }

  /** Stores a credential. Names are unique. */
  create({ name, ...login }: Login & { name: string }): RegistryAuth {
    if (this.all.some((auth) => auth.name === name)) throw new AccountError("Registry auth name must be unique");
    return this.store(newId(), name, login, undefined);
  }

  /** Replaces a credential's username and password; id and name stay. */
  update({ id, ...login }: Login & { id: string }): RegistryAuth {
    const auth = this.requireAuth(id);
    return this.store(id, auth.name, login, auth);
  }

  /** Deletes a credential. */
  remove(id: string): void {
    this.requireAuth(id);
    delete this.file.data.registryAuths[id];
    this.file.save();
  }

  /** The registry stops taking a credential until it gets another password. */
  expire(id: string): void {
    this.requireAuth(id).isExpired = true;
    this.file.save();
  }

  /** ECR's tokens die as time is skipped. */
  sweep(): void {
    for (const auth of this.all) {
      const ageMs = this.clock.skippedMs - (this.skippedBefore.get(auth.id) ?? 0);
      if (auth.username === "AWS" && ageMs >= ECR_TOKEN_MS) auth.isExpired = true;
    }
  }

  /**
   * Registers a delegation for one ECR repository.
   *
   * @param resource the repository's ARN
   */
  delegate(resource: string, name: string | null): Delegation {
    const [, awsRegion = "", awsUser = "", path = ""] =
      /^arn:aws[a-z-]*:ecr:([a-z0-9-]+):(\d{12}):repository\/(.+)$/.exec(resource) ?? [];
    if (!path) throw new AccountError(`resource must be the ARN of an ECR repository, got ${resource}`);
    const [repository = "", tag = "*"] = path.split(":");
    const delegation: Delegation = {
      id: newId("deleg_"),
      name,
      delegatorUserId: this.file.data.userId,
      awsUser,
      repository,
      tag,
      awsRegion,
      dockerRegistryUri: `${awsUser}.dkr.ecr.${awsRegion}.amazonaws.com`,
      createdAt: this.clock.timestamp(),
    };
    this.file.data.delegations[delegation.id] = delegation;
    this.file.save();
    return delegation;
  }

  /** Revokes a delegation. */
  revoke(id: string): void {
    if (!this.file.data.delegations[id]) throw new AccountError("Delegation not found", "missing");
    delete this.file.data.delegations[id];
    this.file.save();
  }

  private store(id: string, name: string, { username, password }: Login, before: RegistryAuth | undefined) {
    if (!username || !password) throw new AccountError("username and password are required");
    const passwordHash = createHash("sha256").update(`${id}:${password}`).digest("hex");
    const isSame = before?.passwordHash === passwordHash;
    const auth: RegistryAuth = { id, name, username, passwordHash, isExpired: isSame && before.isExpired };
    if (!isSame) this.skippedBefore.set(id, this.clock.skippedMs);
    this.file.data.registryAuths[id] = auth;
    this.file.save();
    return auth;
  }

  private requireAuth(id: string): RegistryAuth {
    const auth = this.find(id);
    if (!auth) throw new AccountError("Registry auth not found", "missing");
    return auth;
  }
}
