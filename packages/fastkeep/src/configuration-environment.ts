import { OPTIONS, variableOf, type EffectiveOption } from '@fastkeep/engine'
import { START_OPTIONS } from './command-options.js'

/** Read by the command alone: an app's own engine does not know them. */
const COMMAND_VARIABLES = ['config', ...Object.keys(START_OPTIONS).filter(path => !Object.hasOwn(OPTIONS, path))].map(variableOf)

/**
 * Runs a function while the environment says what flags and file do, for an app that registers the engine by itself.
 * Afterwards it is as it was: a successor of this process reads flags and file anew.
 */
export async function withConfigurationInEnvironment<Result> (effective: readonly EffectiveOption[], run: () => Promise<Result>): Promise<Result> {
  const before = { ...process.env }
  for (const name of COMMAND_VARIABLES) Reflect.deleteProperty(process.env, name)
  Object.assign(process.env, variablesFor(effective))
  try {
    return await run()
  } finally {
    const names = [...COMMAND_VARIABLES, ...Object.keys(variablesFor(effective))]
    for (const name of names) {
      if (before[name] === undefined) Reflect.deleteProperty(process.env, name)
      else process.env[name] = before[name]
    }
  }
}

function variablesFor (effective: readonly EffectiveOption[]): Record<string, string> {
  return Object.fromEntries(effective.flatMap(({ path, value, source }) => {
    const text = Object.hasOwn(OPTIONS, path) ? OPTIONS[path]?.text : undefined
    return text === undefined || path === 'config' || (source !== 'flags' && source !== 'file') ? [] : [[variableOf(path), text.format(value)]]
  }))
}
