// How long threads that wait for each other spin before they sleep, set before libgomp looks.
#pragma once

namespace hourglass::cli {

// Makes the environment whole again, in which the setting has taken another variable's place. At the beginning of
// main().
void restore_environment();

}  // namespace hourglass::cli
