export type Command = {
  readonly text: string;
  /** It goes on running, and the commands after it begin when it is ready. */
  readonly isServer: boolean;
  /** 0, or what a comment behind the command says: `# exits with 1`. */
  readonly exitCode: number;
};

/**
 * The commands of every block of a Markdown text that is marked with `<!-- ci -->`, in order. In a block marked with
 * `<!-- ci server -->` the last command is a server. A line is a command, unless it ends with a backslash.
 */
export function commandsOf(markdown: string): readonly Command[] {
  const blocks = markdown.matchAll(/^<!-- ci( server)? -->\n```sh\n([\s\S]*?)^```$/gm);
  return [...blocks].flatMap(([, server, body = '']) => {
    const commands = body
      .replaceAll('\\\n', ' ')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
    return commands.map((line, at) => ({
      text: line.replace(/\s+# .*$/, ''),
      isServer: server !== undefined && at === commands.length - 1,
      exitCode: Number(/\s# exits with (\d+)/.exec(line)?.[1] ?? 0),
    }));
  });
}
