import { METRICS_NAMESPACE } from "../../functions/lib/metrics";

/** Metrics that functions publish during a recording. */
export interface Recording extends Disposable {
  /** Metrics and dimensions of each line. */
  lines: Record<string, number | string>[];
  /** Values of one metric, in the order of their lines. */
  values(name: string): (number | string)[];
}

/** Records the lines in CloudWatch's embedded metric format, until the recording is disposed. */
export function recordMetrics(): Recording {
  const { stdout, env } = process;
  const { write } = stdout;
  const lines: Recording["lines"] = [];
  env[METRICS_NAMESPACE] = "Stage";
  stdout.write = ((...args: Parameters<typeof write>) => {
    if (!String(args[0]).startsWith('{"_aws":')) return write.apply(stdout, args);
    const { _aws, ...line } = JSON.parse(String(args[0]));
    lines.push(line);
    return true;
  }) as typeof write;
  return {
    lines,
    values: (name) => lines.flatMap((line) => line[name] ?? []),
    [Symbol.dispose]() {
      stdout.write = write;
      delete env[METRICS_NAMESPACE];
    },
  };
}
