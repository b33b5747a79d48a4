// The page with the list of jobs.

export { beginList as begin } from "./list.js";
