export const RED = 31
export const GREEN = 32
export const YELLOW = 33

export type Paint = (text: string, colour: number) => string

/** @param hasColours whether who reads it sees them */
export function painter (hasColours: boolean): Paint {
  return (text, colour) => hasColours ? `\u001b[${colour}m${text}\u001b[0m` : text
}
