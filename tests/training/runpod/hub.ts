import { createHash } from "node:crypto";
import { type Listening, serve } from "../../../local/support/http";

export const HUB_TOKEN = "hf_CANARY_TOKEN";
export const REPOSITORY = "snack/mistral-mama";

/** Fake Hugging Face Hub on a real socket. It has one private model repository and several data sets. */
export class FakeHub {
  private readonly tags = new Map<string, string>();
  private readonly reports = new Map<string, unknown>();
  /** Files of each data set. */
  readonly datasets = new Map<string, { path: string; size: number }[]>();
  isPrivate = true;
  /** HTTP status with which the next calls fail. Undefined: the calls succeed. */
  status: number | undefined;

  private constructor(private listening: Listening | undefined) {}

  static async start(): Promise<FakeHub> {
    const hub = new FakeHub(undefined);
    hub.listening = await serve("Hugging Face", 0, async (request) => hub.answer(request));
    return hub;
  }

  get url(): string {
    return this.listening?.url ?? "";
  }

  /** Tags a new commit, as the training image does after its upload. Without a verdict, the commit has no report. */
  upload(repository: string, tag: string, verdict?: unknown): void {
    const commit = createHash("sha1").update(tag).digest("hex");
    this.tags.set(`${repository} ${tag}`, commit);
    if (verdict) this.reports.set(commit, verdict);
  }

  commitOf(tag: string): string | undefined {
    return this.tags.get(`${REPOSITORY} ${tag}`);
  }

  async close(): Promise<void> {
    await this.listening?.close();
  }

  private answer(request: Request): Response {
    const { pathname } = new URL(request.url);
    if (this.status !== undefined) return new Response("down", { status: this.status });
    // Hugging Face hides a private repository from other tokens.
    if (request.headers.get("authorization") !== `Bearer ${HUB_TOKEN}`) return new Response("", { status: 401 });
    if (pathname === `/api/models/${REPOSITORY}`) return Response.json({ id: REPOSITORY, private: this.isPrivate });
    const [, tag] = pathname.match(new RegExp(`^/api/models/${REPOSITORY}/revision/(.+)$`)) ?? [];
    const sha = tag && this.commitOf(tag);
    if (sha) return Response.json({ id: REPOSITORY, sha });
    const [, commit] = pathname.match(new RegExp(`^/${REPOSITORY}/resolve/([0-9a-f]{40})/run.json$`)) ?? [];
    if (commit && [...this.tags.values()].includes(commit))
      return Response.json({ losses: [5.75, 5.5, 5.25], data: { sha256: "d".repeat(64) } });
    const [, judged = ""] =
      pathname.match(new RegExp(`^/${REPOSITORY}/resolve/([0-9a-f]{40})/report/report.json$`)) ?? [];
    if (this.reports.has(judged)) return Response.json(this.reports.get(judged));
    const [, dataset] = pathname.match(/^\/api\/datasets\/(.+)\/tree\/[0-9a-f]{40}$/) ?? [];
    const files = dataset && this.datasets.get(dataset);
    return files ? Response.json(files) : new Response('{"error":"Repository not found"}', { status: 404 });
  }
}
