import { ExitCode } from '@fastkeep/engine'
import { nearest } from '@fastkeep/options'
import type { Command } from '../command.js'
import { SHELLS, completionScript } from '../completion-script.js'
import { UsageError } from '../errors.js'

/** @param all the commands to be completed; this one is among them */
export function completion (all: () => readonly Command[]): Command {
  return {
    name: 'completion',
    summary: 'print a script that completes commands and flags in your shell',
    details: `bash: source <(fastkeep completion bash)
zsh:  source <(fastkeep completion zsh)
fish: fastkeep completion fish | source`,
    operands: [{ name: 'shell', completes: SHELLS }],
    flags: {},
    run: async ({ operands: [shell = ''], terminal }) => {
      const script = completionScript(shell, all())
      if (script === undefined) {
        const meant = nearest(shell, SHELLS)
        throw new UsageError(`completion: there is no script for the shell ${JSON.stringify(shell)}${meant === undefined ? `; there are ${SHELLS.join(', ')}` : `, did you mean "${meant}"?`}`)
      }
      terminal.print(script)
      return ExitCode.OK
    },
  }
}
