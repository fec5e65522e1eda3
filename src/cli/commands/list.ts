/** @file `qklab list`: every part of an attention, rule of a recurrence and of routing with its formula and source, the tasks and the presets. */
import { Argument, type Command } from "commander";
import { texts } from "../dictionary/list.ts";
import { columns, type Listing, type Say } from "../list/listing.ts";
import {
  listedPartKinds,
  type ListedPartKind,
  listParts,
  listRecurrences,
  listRoutings,
} from "../list/parts.ts";
import { addFormat, formatOf, type FormatOptions, printJson, printSections } from "../printing.ts";
import { type Session } from "../session.ts";
import { type Table, tableFormats } from "../table.ts";

type Kind = ListedPartKind | "recurrences" | "routings" | "tasks" | "presets";

const kinds: readonly Kind[] = [
  ...(Object.keys(listedPartKinds) as ListedPartKind[]),
  "recurrences",
  "routings",
  "tasks",
  "presets",
];

/** Adds the command. */
export function addList(program: Command, session: Session): Command {
  const { say } = session;
  const command = program
    .command("list")
    .summary(say(texts.summary))
    .description(say(texts.summary))
    .addArgument(new Argument("[what]", say(texts.what)).choices(kinds))
    .action((kind: Kind | undefined, options: FormatOptions) => list(kind, options, session));
  return addFormat(command, session, tableFormats);
}

async function list(kind: Kind | undefined, options: FormatOptions, session: Session): Promise<void> {
  const format = formatOf(options);
  const listings = new Map<Kind, Listing>();
  for (const listed of kind === undefined ? kinds : [kind])
    listings.set(listed, await listingOf(listed, session.say));
  const single = kind === undefined ? undefined : listings.get(kind);
  if (format === "json") {
    const all = Object.fromEntries([...listings].map(([name, { document }]) => [name, document]));
    await printJson(session, single?.document ?? all);
  } else {
    await printSections(session, [{ table: single?.table ?? overview(listings, session.say) }], format);
  }
  session.next(...nextCommand[kind ?? "similarities"].split(" "));
}

const nextCommand: Readonly<Record<Kind, string>> = {
  similarities: "inspect l2+causal",
  positions: "inspect dot+rope+causal",
  patterns: "inspect dot+window:w=64+causal",
  selections: "inspect dot+causal+topk:k=32",
  normalisers: "inspect dot+causal+softmax:sink=learned",
  aggregations: "inspect lorentz+causal+centroid",
  recurrences: "inspect gated-deltanet",
  routings: "inspect switch",
  tasks: "inspect recall",
  presets: "compare --preset quick",
};

async function listingOf(kind: Kind, say: Say): Promise<Listing> {
  if (kind === "recurrences") return listRecurrences(say);
  if (kind === "routings") return listRoutings();
  if (kind !== "tasks" && kind !== "presets") return listParts(kind, say);
  // Recipes load what trains them, which takes longer than all the rest of a listing.
  const { listPresets, listTasks } = await import("../list/tasks.ts");
  return kind === "tasks" ? listTasks(say) : listPresets();
}

/** All kinds in one table, a line for each thing. */
function overview(listings: ReadonlyMap<Kind, Listing>, say: Say): Table {
  return {
    columns: columns("kind", "name", "about"),
    rows: [...listings].flatMap(([kind, { lines }]) =>
      lines.map((line) => ({ kind: say(texts.kinds[kind]), ...line })),
    ),
  };
}
