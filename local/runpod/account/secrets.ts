import type { AccountFile } from "./accountFile";
import type { Clock } from "./clock";
import { newId } from "./ids";
import type { ListLag } from "./listLag";
import type { Secret } from "./records";
import { AccountError } from "./rules";

/** Reference to a secret in an environment. */
const REFERENCE = /\{\{\s*RUNPOD_SECRET_([\w.\-/]+)\s*\}\}/g;

/** Secrets of an account. */
export class Secrets {
  constructor(
    private readonly file: AccountFile,
    private readonly clock: Clock,
    private readonly lag: ListLag,
  ) {}

  get all(): Secret[] {
    return Object.values(this.file.data.secrets);
  }

  find(id: string): Secret | undefined {
    return this.file.data.secrets[id];
  }

  /**
   * Creates a secret. Its name must be unique. Unconfirmed: the double compares names without case, because RunPod's
   * filter by name ignores case.
   */
  create({ name, value, description = null }: Pick<Secret, "name" | "value"> & Partial<Secret>): Secret {
    if (!/^[a-z_][\w.\-/]{0,190}$/i.test(name)) throw new AccountError(`name ${name} is not allowed`, "kind");
    if (/^runpod/i.test(name)) throw new AccountError("name must not begin with the reserved prefix RUNPOD", "kind");
    if (value === "") throw new AccountError("value is required", "kind");
    if (this.named(name)) throw new AccountError("a secret with this name already exists", "taken");
    const createdAt = this.clock.timestamp();
    const id = newId();
    const secret = { id, name, value, description, createdAt, updatedAt: null, valueLastUpdatedAt: createdAt };
    this.lag.noteCreated(id);
    this.file.data.secrets[id] = secret;
    this.file.save("secrets", id);
    return secret;
  }

  /** Updates the value, the description and the times of the last changes. */
  update(id: string, changes: Partial<Pick<Secret, "description" | "value">>): Secret {
    const secret = this.require(id);
    const updatedAt = this.clock.timestamp();
    Object.assign(secret, changes, { updatedAt }, changes.value !== undefined && { valueLastUpdatedAt: updatedAt });
    this.file.save("secrets", id);
    return secret;
  }

  /** Deletes a secret. Like RunPod, also deletes a secret to which an environment refers. */
  remove(id: string): void {
    this.lag.noteDeleted("secrets", this.require(id));
    delete this.file.data.secrets[id];
    this.file.save("secrets", id);
  }

  /**
   * Replaces the references in a text with the values. Unconfirmed: RunPod keeps a reference to an unknown secret
   * unchanged, and a reference may contain every character of a secret's name, also `-`.
   */
  resolve(text: string): string {
    return text.replace(REFERENCE, (reference, name: string) => this.named(name)?.value ?? reference);
  }

  private named(name: string): Secret | undefined {
    return this.all.find((secret) => secret.name.toLowerCase() === name.toLowerCase());
  }

  private require(id: string): Secret {
    const secret = this.find(id);
    if (!secret) throw new AccountError("Secret not found", "missing");
    return secret;
  }
}
