/** The repository's folder: npm runs every command there. */
export const root = process.cwd();
