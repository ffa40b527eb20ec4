import type { Endpoint, Pod, RegistryAuth, Secret, Template } from "./records";

interface Listed {
  templates: Template;
  endpoints: Endpoint;
  registryAuths: RegistryAuth;
  secrets: Secret;
  pods: Pod;
}
type Kind = keyof Listed;

/**
 * Simulates the delay of RunPod's lists: a new resource is missing, and a deleted resource is still listed. Reads of
 * one resource by its id are not delayed.
 */
export class ListLag {
  private readonly createdAt = new Map<string, number>();
  private readonly deleted = new Map<string, { kind: Kind; record: Listed[Kind]; at: number }>();

  /** @param lagMs returns the current delay. While it is 0, changes are not recorded and lists are current */
  constructor(private readonly lagMs: () => number) {}

  noteCreated(id: string): void {
    if (this.lagMs() > 0) this.createdAt.set(id, Date.now());
  }

  noteDeleted<K extends Kind>(kind: K, record: Listed[K]): void {
    if (this.lagMs() > 0) this.deleted.set(record.id, { kind, record: structuredClone(record), at: Date.now() });
  }

  /** Returns the resources of one kind that the delayed list contains now. */
  list<K extends Kind>(kind: K, current: Listed[K][]): Listed[K][] {
    const isHidden = (at: number | undefined) => at !== undefined && Date.now() - at < this.lagMs();
    const ghosts = [...this.deleted.values()].filter((each) => each.kind === kind && isHidden(each.at));
    const visible = current.filter(({ id }) => !isHidden(this.createdAt.get(id)));
    return [...visible, ...ghosts.map(({ record }) => record as Listed[K])];
  }

  /** Returns a deleted template, because the delayed list may still contain its endpoint. */
  deletedTemplate(id: string): Template | undefined {
    const found = this.deleted.get(id);
    return found?.kind === "templates" ? (found.record as Template) : undefined;
  }
}
