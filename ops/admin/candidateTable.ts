import pc from "picocolors";
import type { AdminCandidate, CandidateEvent, VersionReplies } from "../../contract/admin";
import { LONGEST_FIRST_TEXT_MS } from "../../functions/core/canary/verdict";
import { fieldTable } from "./fieldTable";

/** Number of the newest events in the table. `--json` has all of them. */
const SHOWN_EVENTS = 5;

/** Formats a model's candidate as text: its customers, the newest verdict, the replies of both versions, the events. */
export function candidateTable(candidate: AdminCandidate): string {
  const { verdict, workers, events } = candidate;
  const table = fieldTable([12, 96]);
  table.push(
    ["model", candidate.model],
    ["image", pc.bold(candidate.image)],
    ["endpoint", candidate.endpoint],
    ["ready", candidate.is_ready ? "yes" : pc.yellow("no: no worker has answered yet, so only the testers get it")],
    ["share", shareText(candidate)],
    ["testers", candidate.testers.join("\n") || "none"],
    ["verdict", verdict ? `${verdict.action}: ${verdict.reason} (${verdict.at})` : "none yet"],
    ["candidate", repliesText(candidate.candidate)],
    ["released", repliesText(candidate.released)],
    ["workers", workers ? workersText(workers) : "not known"],
    ...events.slice(0, SHOWN_EVENTS).map((event, index) => [index === 0 ? "events" : "", eventText(event)]),
  );
  return table.toString();
}

function shareText({ share, configured_share, override }: AdminCandidate): string {
  const inForce = pc.bold(`${share}%`);
  if (!override) return `${inForce} in force, as configured (${configured_share}%)`;
  const aborted = override.is_aborted ? ", aborted" : "";
  return `${inForce} in force${aborted}, ${configured_share}% configured. Since ${override.at}: ${override.reason}`;
}

function repliesText({ replies, failed, empty, invalid, first_text_ms }: VersionReplies): string {
  const firstText = first_text_ms
    ? `first text p50 ${boundText(first_text_ms.p50)}, p95 ${boundText(first_text_ms.p95)}`
    : "";
  const counts = `${replies} replies in 30 minutes: ${failed} failed, ${empty} empty, ${invalid} break the contract`;
  return [counts, firstText].filter(Boolean).join("\n");
}

function boundText(ms: number): string {
  return ms > LONGEST_FIRST_TEXT_MS ? `> ${LONGEST_FIRST_TEXT_MS} ms` : `≤ ${ms} ms`;
}

function workersText({ waiting_jobs, ...workers }: NonNullable<AdminCandidate["workers"]>): string {
  const counts = Object.entries(workers).filter(([, count]) => count > 0);
  return [...counts.map(([state, count]) => `${count} ${state}`), `${waiting_jobs} waiting jobs`].join(", ");
}

function eventText({ at, by, from, to, reason }: CandidateEvent): string {
  return `${at}  ${from === null ? "" : `${from}% → `}${to}%  ${by}: ${reason}`;
}
