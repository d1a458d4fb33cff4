//! Prints the tables of the documentation: reasons, limits by isolation, and grants that isolation refuses.

use lockgate_authority::{GrantRule, Isolation, ReasonCode};

fn main() {
    println!("## Reasons\n\n{}", ReasonCode::markdown_table());
    println!("## Limits\n\n{}", Isolation::markdown_table());
    println!("## Grants that isolation refuses\n\n{}", GrantRule::markdown_table());
}
