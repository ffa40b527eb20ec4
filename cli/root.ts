/** The repository's folder. npm runs every command in it. */
export const root = process.cwd();
