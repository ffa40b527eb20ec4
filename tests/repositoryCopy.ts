import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** A git repository with a copy of this repository's present files. */
export interface RepositoryCopy {
  path: string;
  /** Runs git in the copy. Returns its output. */
  git(...args: string[]): string;
}

/**
 * Copies all files that git does not ignore, with their present content, into a new git repository with one commit. Its
 * remote is a second new repository. The copy uses the packages of this repository.
 *
 * @param dir empty folder for both repositories
 * @param more texts of more files, by path
 */
export function copyRepository(dir: string, more: Record<string, string> = {}): RepositoryCopy {
  const path = join(dir, "repository");
  const remote = join(dir, "remote.git");
  const git = (...args: string[]) => execFileSync("git", args, { cwd: path, encoding: "utf8" }).trim();
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).toString();
  for (const file of listed.split("\0").filter((name) => name && existsSync(name))) {
    mkdirSync(join(path, dirname(file)), { recursive: true });
    copyFileSync(file, join(path, file));
  }
  for (const [file, text] of Object.entries(more)) writeFileSync(join(path, file), text);
  symlinkSync(resolve("node_modules"), join(path, "node_modules"));
  execFileSync("git", ["init", "--quiet", "--bare", remote]);
  git("init", "--quiet", "--initial-branch=main");
  // The rule in .gitignore ignores only a folder, but the copy has a link.
  writeFileSync(join(path, ".git/info/exclude"), "node_modules\n");
  git("config", "user.name", "Test");
  git("config", "user.email", "test@example.com");
  git("remote", "add", "origin", remote);
  git("add", "--all");
  git("commit", "--quiet", "--message", "Start");
  git("push", "--quiet", "origin", "main");
  return { path, git };
}
