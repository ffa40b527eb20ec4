import type { Endpoint, RegistryAuth, Secret, Template } from "./records";

interface Listed {
  templates: Template;
  endpoints: Endpoint;
  registryAuths: RegistryAuth;
  secrets: Secret;
}
type Kind = keyof Listed;

/**
 * Delay with which RunPod's lists show changes: a new resource is missing and a deleted one is still listed. Reads of
 * one resource by its id show changes at once.
 */
export class ListLag {
  private readonly createdAt = new Map<string, number>();
  private readonly deleted = new Map<string, { kind: Kind; record: Listed[Kind]; at: number }>();

  /** @param lagMs returns the current delay. The lag forgets all changes while the delay is 0 */
  constructor(private readonly lagMs: () => number) {}

  noteCreated(id: string): void {
    if (this.lagMs() > 0) this.createdAt.set(id, Date.now());
  }

  noteDeleted<K extends Kind>(kind: K, record: Listed[K]): void {
    if (this.lagMs() > 0) this.deleted.set(record.id, { kind, record: structuredClone(record), at: Date.now() });
  }

  /** Resources of a kind as a list shows them. */
  list<K extends Kind>(kind: K, current: Listed[K][]): Listed[K][] {
    const isHidden = (at: number | undefined) => at !== undefined && Date.now() - at < this.lagMs();
    const ghosts = [...this.deleted.values()].filter((each) => each.kind === kind && isHidden(each.at));
    const visible = current.filter(({ id }) => !isHidden(this.createdAt.get(id)));
    return [...visible, ...ghosts.map(({ record }) => record as Listed[K])];
  }

  /** A deleted template, for the list entry of a deleted endpoint. */
  deletedTemplate(id: string): Template | undefined {
    const found = this.deleted.get(id);
    return found?.kind === "templates" ? (found.record as Template) : undefined;
  }
}
