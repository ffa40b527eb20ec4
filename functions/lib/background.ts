/** Work that must end before an invocation returns. After the return, Lambda freezes the container. */
export class Background {
  private readonly works = new Set<Promise<unknown>>();

  /** Adds work. Its failure is ignored. */
  readonly add = (work: Promise<unknown>): void => {
    const done = () => this.works.delete(tracked);
    const tracked: Promise<unknown> = work.then(done, done);
    this.works.add(tracked);
  };

  /** Resolves when all work has ended, including work that is added during the wait. */
  async ended(): Promise<void> {
    while (this.works.size > 0) await Promise.all(this.works);
  }
}
