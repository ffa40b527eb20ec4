import type { AccountFile } from "./accountFile";
import type { Clock } from "./clock";
import { newId } from "./ids";
import type { Secret } from "./records";
import { AccountError } from "./rules";

/** Secrets of an account, without their values. */
export class Secrets {
  constructor(
    private readonly file: AccountFile,
    private readonly clock: Clock,
  ) {}

  get all(): Secret[] {
    return Object.values(this.file.data.secrets);
  }

  /** Creates a secret. Its name must be unique. */
  create(name: string, description: string | null): Secret {
    if (this.all.some((secret) => secret.name === name)) throw new AccountError("Secret name must be unique");
    const secret: Secret = { id: newId(), name, description, createdAt: this.clock.timestamp(), updatedAt: null };
    this.file.data.secrets[secret.id] = secret;
    this.file.save("secrets", secret.id);
    return secret;
  }

  /** Updates the description and the time of the last change. */
  update(id: string, changes: Partial<Pick<Secret, "description">>): Secret {
    const secret = this.require(id);
    Object.assign(secret, changes, { updatedAt: this.clock.timestamp() });
    this.file.save("secrets", id);
    return secret;
  }

  /** Deletes a secret. */
  remove(id: string): void {
    this.require(id);
    delete this.file.data.secrets[id];
    this.file.save("secrets", id);
  }

  private require(id: string): Secret {
    const secret = this.file.data.secrets[id];
    if (!secret) throw new AccountError("Secret not found", "missing");
    return secret;
  }
}
