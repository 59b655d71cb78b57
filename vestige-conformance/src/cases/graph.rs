use chrono::TimeDelta;
use vestige_traits::transfer::TransferRow;
use vestige_traits::{MemoryEdge, MemoryRecord, MemoryStore, limits};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

async fn draw(bed: &TestBed<impl StoreFactory>, memories: u128, edges: &[(u128, u128, f64)]) {
    let records: Vec<_> = (1..=memories).map(|n| memory(n, format!("node {n}"))).collect();
    bed.store.insert_batch(&records).await.unwrap();
    let rows: Vec<_> = edges.iter().map(|&(a, b, weight)| TransferRow::Edge(edge(a, b, weight))).collect();
    bed.store.import_page(&rows, None).await.unwrap();
}

async fn walk(bed: &TestBed<impl StoreFactory>, start: u128, depth: usize) -> Vec<(u128, u32, f64)> {
    let neighbors = bed.store.get_neighbors(id(start), depth).await.unwrap();
    let number = |record: &MemoryRecord| record.id.as_u128() - id(0).as_u128();
    neighbors.iter().map(|n| (number(&n.record), n.hops, n.score)).collect()
}

pub async fn edges_come_back_ordered_by_their_key(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 3)).await.unwrap();
    let typed = |a, b, name: &str, weight| MemoryEdge { edge_type: name.to_owned(), ..edge(a, b, weight) };
    let edges = [
        typed(1, 2, "Related", 0.25),
        typed(1, 2, "related", 0.1 + 0.2),
        typed(1, 2, "\u{e9}tendu", 1.0),
        typed(1, 3, "related", 0.0),
        typed(2, 1, "related", 0.5),
        typed(3, 1, "blocks", 0.75),
    ];
    for edge in [&edges[5], &edges[0], &edges[3], &edges[2], &edges[1], &edges[4]] {
        bed.store.add_edge(edge).await.unwrap();
    }
    assert_eq!(bed.store.get_edges(id(1)).await.unwrap(), edges, "by source, target and type in byte order");
    assert_eq!(bed.store.get_edges(id(3)).await.unwrap(), [edges[3].clone(), edges[5].clone()]);
}

pub async fn edges_of_a_memory_without_any_are_none(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "alone")).await.unwrap();
    assert!(bed.store.get_edges(id(1)).await.unwrap().is_empty());
    assert!(bed.store.get_edges(id(2)).await.unwrap().is_empty());
}

pub async fn drawing_an_edge_again_sets_its_weight_and_keeps_its_time(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 2)).await.unwrap();
    bed.store.add_edge(&edge(1, 2, 0.5)).await.unwrap();
    let again = MemoryEdge { created_at: now() + TimeDelta::days(1), ..edge(1, 2, 0.75) };
    bed.store.add_edge(&again).await.unwrap();
    assert_eq!(bed.store.get_edges(id(1)).await.unwrap(), [edge(1, 2, 0.75)]);
}

pub async fn an_edge_to_a_missing_memory_is_not_found(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "alone")).await.unwrap();
    assert_not_found(bed.store.add_edge(&edge(1, 2, 1.0)).await, id(2));
    assert_not_found(bed.store.add_edge(&edge(3, 1, 1.0)).await, id(3));
    assert!(bed.store.get_edges(id(1)).await.unwrap().is_empty());
}

pub async fn an_invalid_edge_is_refused(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 2)).await.unwrap();
    assert_invalid(bed.store.add_edge(&edge(1, 1, 1.0)).await, "target_id");
    for weight in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_invalid(bed.store.add_edge(&edge(1, 2, weight)).await, "weight");
    }
    for name in ["", " ", "nul\0", &"x".repeat(limits::MAX_NAME_BYTES + 1)] {
        let named = MemoryEdge { edge_type: name.to_owned(), ..edge(1, 2, 1.0) };
        assert_invalid(bed.store.add_edge(&named).await, "edge_type");
    }
    assert!(bed.store.get_edges(id(1)).await.unwrap().is_empty());
}

pub async fn an_edge_type_of_the_longest_length_works(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 2)).await.unwrap();
    let long = MemoryEdge { edge_type: "x".repeat(limits::MAX_NAME_BYTES), ..edge(1, 2, 1.0) };
    bed.store.add_edge(&long).await.unwrap();
    assert_eq!(bed.store.get_edges(id(1)).await.unwrap(), vec![long.clone()]);
    bed.store.remove_edge(id(1), id(2), &long.edge_type).await.unwrap();
}

pub async fn remove_edge_takes_the_one_with_the_key(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 2)).await.unwrap();
    let cause = MemoryEdge { edge_type: "causes".to_owned(), ..edge(1, 2, 1.0) };
    for edge in [&edge(1, 2, 1.0), &edge(2, 1, 1.0), &cause] {
        bed.store.add_edge(edge).await.unwrap();
    }
    bed.store.remove_edge(id(1), id(2), "related").await.unwrap();
    assert_eq!(bed.store.get_edges(id(1)).await.unwrap(), [cause, edge(2, 1, 1.0)]);
}

pub async fn remove_of_a_missing_edge_is_not_found(bed: &TestBed<impl StoreFactory>) {
    draw(bed, 2, &[(1, 2, 1.0)]).await;
    assert_not_found(bed.store.remove_edge(id(2), id(1), "related").await, id(2));
    assert_not_found(bed.store.remove_edge(id(1), id(2), "Related").await, "Related");
    assert_invalid(bed.store.remove_edge(id(1), id(2), "nul\0").await, "edge_type");
    assert_eq!(bed.store.get_edges(id(1)).await.unwrap().len(), 1);
}

pub async fn neighbors_are_found_both_ways_with_the_product_of_weights(bed: &TestBed<impl StoreFactory>) {
    draw(bed, 5, &[(1, 2, 0.5), (3, 2, 0.5), (3, 4, 0.25), (5, 1, 1.0)]).await;
    assert_eq!(walk(bed, 1, 1).await, [(5, 1, 1.0), (2, 1, 0.5)]);
    assert_eq!(walk(bed, 1, 2).await, [(5, 1, 1.0), (2, 1, 0.5), (3, 2, 0.25)]);
    assert_eq!(walk(bed, 1, 16).await, [(5, 1, 1.0), (2, 1, 0.5), (3, 2, 0.25), (4, 3, 0.0625)]);
    let first = &bed.store.get_neighbors(id(1), 1).await.unwrap()[0];
    assert_eq!(first.record, memory(5, "node 5"));
}

pub async fn the_best_path_within_the_depth_counts(bed: &TestBed<impl StoreFactory>) {
    draw(bed, 4, &[(1, 2, 0.125), (1, 3, 1.0), (3, 4, 1.0), (4, 2, 1.0)]).await;
    assert_eq!(walk(bed, 1, 1).await, [(3, 1, 1.0), (2, 1, 0.125)]);
    assert_eq!(walk(bed, 1, 2).await, [(3, 1, 1.0), (2, 1, 0.125), (4, 2, 1.0)]);
    assert_eq!(walk(bed, 1, 3).await, [(2, 1, 1.0), (3, 1, 1.0), (4, 2, 1.0)]);
}

pub async fn the_strongest_of_parallel_edges_counts(bed: &TestBed<impl StoreFactory>) {
    draw(bed, 2, &[(1, 2, 0.25), (2, 1, 0.5)]).await;
    let cause = MemoryEdge { edge_type: "causes".to_owned(), ..edge(1, 2, 0.75) };
    bed.store.add_edge(&cause).await.unwrap();
    assert_eq!(walk(bed, 1, 4).await, [(2, 1, 0.75)]);
}

pub async fn cycles_end_and_the_start_is_left_out(bed: &TestBed<impl StoreFactory>) {
    draw(bed, 3, &[(1, 2, 1.0), (2, 3, 1.0), (3, 1, 1.0)]).await;
    assert_eq!(walk(bed, 1, 16).await, [(2, 1, 1.0), (3, 1, 1.0)]);
}

pub async fn an_edge_without_weight_still_connects(bed: &TestBed<impl StoreFactory>) {
    draw(bed, 3, &[(1, 2, 0.0), (2, 3, 1.0)]).await;
    assert_eq!(walk(bed, 1, 2).await, [(2, 1, 0.0), (3, 2, 0.0)]);
}

pub async fn a_depth_of_zero_gives_nothing(bed: &TestBed<impl StoreFactory>) {
    draw(bed, 2, &[(1, 2, 1.0)]).await;
    assert!(bed.store.get_neighbors(id(1), 0).await.unwrap().is_empty());
}

pub async fn a_depth_above_sixteen_is_invalid(bed: &TestBed<impl StoreFactory>) {
    draw(bed, 2, &[(1, 2, 1.0)]).await;
    assert_invalid(bed.store.get_neighbors(id(1), 17).await, "depth");
    assert_invalid(bed.store.get_neighbors(id(1), usize::MAX).await, "depth");
}

pub async fn neighbors_of_a_missing_memory_are_not_found(bed: &TestBed<impl StoreFactory>) {
    assert_not_found(bed.store.get_neighbors(id(1), 1).await, id(1));
    assert_not_found(bed.store.get_neighbors(id(1), 0).await, id(1));
}

pub async fn a_chain_ends_at_the_depth(bed: &TestBed<impl StoreFactory>) {
    let chain: Vec<_> = (1..20).map(|n| (n, n + 1, 1.0)).collect();
    draw(bed, 20, &chain).await;
    for depth in [1, 3, 16] {
        let reached = walk(bed, 1, depth).await;
        assert_eq!(reached.len(), depth);
        assert_eq!(reached[depth - 1], (depth as u128 + 1, depth as u32, 1.0));
    }
}

pub async fn at_most_two_hundred_and_fifty_six_neighbors_come_back_the_best(
    bed: &TestBed<impl StoreFactory>,
) {
    let star: Vec<_> = (2..=400).map(|n| (1, n, if n % 2 == 0 { 0.5 } else { 1.0 })).collect();
    draw(bed, 401, &[star, vec![(2, 401, 1.0)]].concat()).await;
    let reached = walk(bed, 1, 2).await;
    assert_eq!(reached.len(), limits::MAX_NEIGHBORS);
    let strong: Vec<_> = (3..400).step_by(2).map(|n| (n, 1, 1.0)).collect();
    assert_eq!(reached[..strong.len()], strong);
    assert_eq!(reached[strong.len()], (2, 1, 0.5));
    assert!(reached.iter().all(|(_, hops, _)| *hops == 1), "what is nearer comes first");
}
